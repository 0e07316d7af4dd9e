"""What a kind adds to the report: sections of paragraphs, pictures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from decant.figures.figure_text import one_line

SHOWN_ROWS = 10
SHOWN_LABEL = 40
NONE = "-"
_SHOWN_CHARACTERS = 160


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells ready to print; the first column is text, the others are figures by default.

    Attributes:
        without_rows: the sentence in its place where it has no rows.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: bool = False
    without_rows: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture by its name; a kind's pictures.py draws it."""

    name: str
    caption: str


Part = str | Picture | Table


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what is below it, in order; a text is a paragraph, the lines as they are."""

    title: str
    parts: Sequence[Part]


def cut(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    """A text of the data in one line of the report."""
    return one_line(text, characters)


def numbered_label(label: str, index: int, *, is_numbered: bool) -> str:
    """A label in a table that explains pictures; its number stands first where they show that."""
    return f"{number_of(index)} {cut(label)}" if is_numbered else cut(label, SHOWN_LABEL)


def number_of(index: int) -> str:
    """How a class is numbered, in pictures and tables."""
    return f"#{index + 1}"


# The lines are those of the report.
NUMBERED = (
    "In the pictures a number such as #1 stands for a class, or tells it from another, where no "
    "font of\nthe machine can draw its name or the name is cut. The table has the names."
)
