"""reference/metrics.md from the types of metrics.json, where a line `<!-- figures -->` stands."""

import dataclasses
import re
from itertools import groupby
from types import ModuleType
from typing import Any

import pydantic
from json_schema_words import ANY_NAME, Leaf, leaves

_MARKER = re.compile(r"^<!-- figures -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill the page's markers."""
    if not _MARKER.search(markdown):
        return markdown
    from decant.figures import evaluation_figures

    schema = schema_of(evaluation_figures.Figures, evaluation_figures)
    return _MARKER.sub(lambda _: figure_tables(schema), markdown)


def schema_of(figures: type[Any], module: ModuleType) -> dict[str, Any]:
    """The JSON schema of a dataclass, with what pydantic leaves out of it: the descriptions of
    inherited attributes. The attributes of each base stand in the order of the bases.

    Args:
        module: holds the dataclasses of the attributes.
    """
    schema = pydantic.TypeAdapter(figures).json_schema()
    for name, part in (*schema.get("$defs", {}).items(), (figures.__name__, schema)):
        known = _own_properties(getattr(module, name))
        part["properties"] = {key: {**part["properties"][key], **known[key]} for key in known}
    return schema


def figure_tables(schema: dict[str, Any]) -> str:
    """A section per key of the file, with a table of what is below it."""
    sections = []
    for key, found in groupby(leaves(schema), key=lambda leaf: leaf.path.partition(".")[0]):
        rows = [_row(leaf) for leaf in found]
        meaning = " ".join(schema["properties"][key].get("description", "").split())
        table = ["| key | value | meaning |", "|---|---|---|", *rows]
        sections.append("\n".join([f"## {key}", "", meaning, "", *table]))
    return "\n\n".join(sections)


def _own_properties(figures: type[Any]) -> dict[str, dict[str, str]]:
    """The description of each attribute, from the class that declares it."""
    found: dict[str, dict[str, str]] = {}
    for base in figures.__bases__:
        if dataclasses.is_dataclass(base):
            found |= _own_properties(base)
    for key, part in pydantic.TypeAdapter(figures).json_schema()["properties"].items():
        if "description" in part:
            found[key] = {"description": part["description"]}
        found.setdefault(key, {})
    return found


def _row(leaf: Leaf) -> str:
    path = leaf.path.replace(ANY_NAME, "MODEL")
    return f"| `{path}` | {leaf.allowed} | {leaf.meaning} |"
