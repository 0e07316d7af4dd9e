"""A module's docstring in a page, where a line `<!-- docstring: MODULE -->` stands.

The modules that write an artifact describe its files in columns. Markdown would run these
together, so such a paragraph becomes a block of code.
"""

import ast
import re
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]

_MARKER = re.compile(r"^<!-- docstring: (?P<module>[\w.]+) -->$", re.MULTILINE)
_COLUMNS = re.compile(r"\S {2,}\S")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill the page's markers."""
    return _MARKER.sub(lambda marker: as_markdown(docstring(marker["module"])), markdown)


def docstring(module: str) -> str:
    """Raises ValueError for a module without one, OSError for one that does not exist."""
    base = PROJECT.joinpath(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    found = ast.get_docstring(ast.parse(file.read_text("utf-8")))
    if not found:
        raise ValueError(f"{file} has no docstring")
    return found


def as_markdown(text: str) -> str:
    """Paragraphs as they are; those in columns as blocks of code."""
    return "\n\n".join(
        f"```text\n{paragraph}\n```" if _COLUMNS.search(paragraph) else paragraph
        for paragraph in text.split("\n\n")
    )
