"""reference/metrics.md from the types of metrics.json, where a line `<!-- figures -->` stands.

The kinds' own figures stand where a line `<!-- figures of kinds -->` is.
"""

import re
from itertools import groupby
from typing import Any

from json_schema_words import ANY_NAME, Leaf, leaves

_MARKER = re.compile(r"^<!-- figures -->$", re.MULTILINE)
_KINDS_MARKER = re.compile(r"^<!-- figures of kinds -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill the page's markers."""
    if not _MARKER.search(markdown):
        return markdown
    from decant.figures.evaluation_figures import Figures

    schema = Figures.model_json_schema()
    markdown = _KINDS_MARKER.sub(lambda _: kind_tables(), markdown)
    return _MARKER.sub(lambda _: figure_tables(schema), markdown)


def kind_tables() -> str:
    """A section per kind of target, with a table of the figures that it adds."""
    from decant.figures.target_figures import TargetFigures
    from decant.tasks.kinds import kinds, part

    sections = []
    for kind in kinds():
        found = leaves(part(kind, "quality").FIGURES.model_json_schema())
        own = [leaf for leaf in found if leaf.path not in TargetFigures.model_fields]
        table = ["| key | value | meaning |", "|---|---|---|", *map(_row, own)]
        sections.append("\n".join([f"### {kind}", "", *table]))
    return "\n\n".join(sections)


def figure_tables(schema: dict[str, Any]) -> str:
    """A section per key of the file, with a table of what is below it."""
    sections = []
    for key, found in groupby(leaves(schema), key=lambda leaf: leaf.path.partition(".")[0]):
        rows = [_row(leaf) for leaf in found]
        meaning = " ".join(schema["properties"][key].get("description", "").split())
        table = ["| key | value | meaning |", "|---|---|---|", *rows]
        sections.append("\n".join([f"## {key}", "", meaning, "", *table]))
    return "\n\n".join(sections)


def _row(leaf: Leaf) -> str:
    path = leaf.path.replace(ANY_NAME, "MODEL")
    return f"| `{path}` | {leaf.allowed} | {leaf.meaning} |"
