"""The documents that people read, and what stands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from decant.runtime.identity import PROJECT

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_INLINE_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_VARIABLE = re.compile(r"\w+=")


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block: its document, the words behind the fence, and its text."""

    document: Path
    info: str
    code: str


def documents() -> list[Path]:
    """README, CONTRIBUTING and all pages of the site, relative to the project."""
    pages = sorted((PROJECT / "docs").rglob("*.md"))
    found = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *pages]
    return [page.relative_to(PROJECT) for page in found]


def code_blocks(document: Path, *languages: str) -> Iterator[CodeBlock]:
    """The fenced blocks of a document in one of the languages; all of them without a language."""
    for fence in _FENCE.finditer((PROJECT / document).read_text("utf-8")):
        info = fence["info"].strip()
        if not languages or info.partition(" ")[0] in languages:
            yield CodeBlock(document, info, fence["code"])


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", (PROJECT / document).read_text("utf-8"))


def links(document: Path) -> list[str]:
    """The targets of links and pictures."""
    return [link["target"] for link in _LINK.finditer(prose(document))]


def inline_code(document: Path) -> list[str]:
    """What stands between single backticks."""
    return _INLINE_CODE.findall(prose(document))


def commands(document: Path) -> list[list[str]]:
    """The words of every command in blocks of bash and in backticks, without variables in front.

    A line that ends in a backslash goes on; `a | b`, `a && b` and `a; b` are two commands.
    """
    lines = [
        line
        for block in code_blocks(document, "bash", "console")
        for line in block.code.replace("\\\n", " ").splitlines()
    ]
    found = [part for line in lines for part in _split(line.strip().removeprefix("$ "))]
    found += [part for code in inline_code(document) for part in _split(code, strict=False)]
    return [words for words in found if words]


def _split(line: str, *, strict: bool = True) -> list[list[str]]:
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        tokens = list(lexer)
    except ValueError:  # an apostrophe in prose
        if strict:
            raise
        return []
    parts: list[list[str]] = [[]]
    for token in tokens:
        if set(token) <= set("|&;"):
            parts.append([])
        elif parts[-1] or not _VARIABLE.match(token):
            parts[-1].append(token)
    return parts
