"""reference/errors.md from the table of error codes, where a line `<!-- error codes -->` stands."""

import re
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
CODES_FILE = PROJECT / "decant/runtime/error_codes.py"

_MARKER = re.compile(r"^<!-- error codes -->$", re.MULTILINE)
_GROUP = re.compile(r"    # (?P<title>.+)")
_CODE = re.compile(r'    "(?P<code>[a-z0-9-]+)": "(?P<meaning>.+)",')


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill the page's markers."""
    if not _MARKER.search(markdown):
        return markdown
    return _MARKER.sub(lambda _: error_tables(CODES_FILE.read_text("utf-8")), markdown)


def error_tables(source: str) -> str:
    """A section per comment of the table in the module's source, with its codes."""
    sections: list[list[str]] = []
    for line in source.partition("ERROR_CODES")[2].splitlines():
        if group := _GROUP.fullmatch(line):
            sections.append([f"## {group['title']}", "", "| code | meaning |", "|---|---|"])
        elif found := _CODE.fullmatch(line):
            sections[-1].append(f"| `{found['code']}` | {found['meaning']} |")
    return "\n\n".join("\n".join(section) for section in sections)
