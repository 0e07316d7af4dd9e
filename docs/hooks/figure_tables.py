"""reference/metrics.md from the types of metrics.json, where a line `<!-- figures -->` stands."""

import re
from itertools import groupby
from typing import Any

from json_schema_words import ANY_NAME, Leaf, leaves

_MARKER = re.compile(r"^<!-- figures -->$", re.MULTILINE)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill the page's markers."""
    if not _MARKER.search(markdown):
        return markdown
    from decant.figures.evaluation_figures import Figures

    schema = Figures.model_json_schema()
    return _MARKER.sub(lambda _: figure_tables(schema), markdown)


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
