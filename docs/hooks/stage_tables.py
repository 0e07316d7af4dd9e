"""Which stages an edit reruns, from dvc.yaml, where a line `<!-- rooms of dvc.yaml -->` stands."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

PROJECT = Path(__file__).resolve().parents[2]
DVC_FILE = PROJECT / "dvc.yaml"

_MARKER = re.compile(r"^<!-- rooms of dvc\.yaml -->$", re.MULTILINE)
_CODE = ("components/", "decant/", "requirements.lock")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill the page's markers."""
    if not _MARKER.search(markdown):
        return markdown
    stages = YAML(typ="safe").load(DVC_FILE.read_text("utf-8"))["stages"]
    return _MARKER.sub(lambda _: rooms_table(stages), markdown)


def rooms_table(stages: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """A Markdown table: each folder or file of code, and the stages that name it.

    Folders that the same stages name share a row, the most used ones first.
    """
    users: dict[str, list[str]] = {}
    for name, stage in stages.items():
        for dep in stage["deps"]:
            if dep.startswith(_CODE):
                users.setdefault(dep, []).append(name)
    rows: dict[tuple[str, ...], list[str]] = {}
    for dep, names in users.items():
        rows.setdefault(tuple(names), []).append(dep)
    lines = ["| an edit in | reruns |", "|---|---|"]
    for names, deps in sorted(rows.items(), key=lambda row: -len(row[0])):
        stages_named = "all stages" if len(names) == len(stages) else ", ".join(names)
        lines.append(f"| {', '.join(f'`{dep}`' for dep in sorted(deps))} | {stages_named} |")
    return "\n".join(lines)
