"""What a kind adds to the report: sections of paragraphs, pictures and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from decant.figures.figure_text import one_line

SHOWN_ROWS = 10
NONE = "-"
_SHOWN_CHARACTERS = 160

TFIDF = "tfidf"
# The models of which a picture shows the answers, and how. Another form of a model gives almost the
# same answers: one curve of each is enough.
DRAWN = ("teacher", "student", "undistilled", TFIDF)


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


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What tables and pictures of one target are made of, of the rows whose label is known.

    Attributes:
        texts: of the rows.
        titles: how each model is called.
    """

    texts: Sequence[str]
    titles: Mapping[str, str]


def cut(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    """A text of the data in one line of the report."""
    return one_line(text, characters)
