"""The kind of a column of strings: running text, classes, numbers, names, ids.

No language is assumed: scripts that are written without spaces are recognised by their letters.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import pandas as pd

from decant.runtime.errors import UserError

Kind = Literal[
    "text",
    "classes",  # few values
    "codes",  # many whole numbers, each in several rows
    "names",  # many values, many of them in several rows
    "numbers",
    "ids",
    "links",
    "dates",
    "constant",
    "empty",
]

_SAMPLE_ROWS = 5000
_NUMBER = r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?"
_WHOLE = r"[+-]?\d+(?:\.0*)?"
_LINK = r"(?:https?|s3|gs|ftp)://\S+"
_DATE = (
    r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?:[ T]\d{1,2}:\d{2}\S*)?"
)
_NEARLY_ALL = 0.95
_MOST_CLASSES = 1000
# Whole numbers beyond so many different ones are measured, not chosen from a scale.
_MOST_NUMBERED_CLASSES = 20
_LONGEST_CLASS_CHARACTERS = 80
# Scripts without spaces between words.
_UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as found.

    Attributes:
        rows: with a value.
        missing: rows without one.
        distinct: different values, white space at the ends aside.
        mean_characters: of a value.
        example: its first value.
    """

    name: str
    kind: Kind
    rows: int
    missing: int
    distinct: int
    mean_characters: float
    example: str

    def look(self) -> str:
        """In words: `2 classes, such as 'positive'`."""
        match self.kind:
            case "empty":
                return "empty"
            case "constant":
                return f"always {_cut(self.example)!r}"
            case "classes":
                what = f"{self.distinct} classes"
            case "codes":
                what = f"{self.distinct} whole numbers"
            case "ids":
                what = f"{self.distinct:,} ids"
            case "text":
                what = f"text, {self.mean_characters:.0f} characters in the mean"
            case _:
                what = f"{self.distinct:,} {self.kind}"
        return f"{what}, such as {_cut(self.example)!r}"


def describe(name: str, values: "pd.Series[str]") -> Column:
    """The column's kind, from a sample of its values."""
    stripped = values.fillna("").str.strip()
    present = stripped[stripped != ""]
    distinct = int(present.nunique())
    sample = present.iloc[:: max(1, len(present) // _SAMPLE_ROWS)]
    return Column(
        name=name,
        kind=_kind(sample, len(present), distinct),
        rows=len(present),
        missing=len(values) - len(present),
        distinct=distinct,
        mean_characters=float(sample.str.len().mean()) if len(sample) else 0.0,
        example=str(present.iloc[0]) if len(present) else "",
    )


def require_label(column: Column, other_kinds: Collection[str] = ()) -> None:
    """Raises UserError with the reason why the column cannot hold classes."""
    if problem := not_a_label(column):
        raise UserError(
            f"the column '{column.name}' cannot be the label: {problem}",
            code="label-not-classes",
            hint=f"{tasks_hint(other_kinds)}give --label-column with a column of classes",
        )


def tasks_hint(kinds: Collection[str]) -> str:
    """The beginning of a hint: kinds of targets that can read a column."""
    return "".join(f"give --task {kind} to learn it so, " for kind in kinds)


def not_a_label(column: Column) -> str:
    """Why the column cannot hold classes, empty where it can."""
    if column.kind == "empty":
        return "it is empty"
    if column.kind == "constant":
        return f"it is always {_cut(column.example)!r}, and two classes are the least"
    if column.kind == "numbers":
        return (
            f"it has {column.distinct:,} different numbers, such as {column.example}: a measure, "
            "not classes"
        )
    if 2 * column.distinct > column.rows:
        return (
            f"{column.rows:,} rows have {column.distinct:,} different values, such as "
            f"{_cut(column.example)!r}: ids or texts, not classes"
        )
    if column.distinct > _MOST_CLASSES:
        return f"it has {column.distinct:,} different values, more than {_MOST_CLASSES:,} classes"
    return ""


def is_text(column: Column) -> bool:
    return column.kind == "text"


@lru_cache(maxsize=4096)
def script_of(letter: str) -> str:
    """LATIN, CJK, CYRILLIC ...: the first word of the letter's name in Unicode."""
    return unicodedata.name(letter, "").partition(" ")[0].partition("-")[0]


def _kind(sample: "pd.Series[str]", rows: int, distinct: int) -> Kind:
    if rows == 0:
        return "empty"
    if distinct == 1:
        return "constant"
    repeated = rows / distinct
    if _share(sample, _NUMBER) >= _NEARLY_ALL:
        return _number_kind(sample, rows, distinct)
    if _share(sample, _DATE) >= _NEARLY_ALL:
        return "dates"
    if _share(sample, _LINK) >= _NEARLY_ALL:
        return "links"
    if _is_prose(sample) and (distinct > rows * 0.3 or distinct > _MOST_CLASSES):
        return "text"
    if distinct > rows * 0.8 and distinct > _MOST_NUMBERED_CLASSES:
        return "ids"
    short = float(sample.str.len().mean()) <= _LONGEST_CLASS_CHARACTERS
    if short and distinct <= _MOST_CLASSES and (distinct <= _MOST_NUMBERED_CLASSES or repeated > 8):
        return "classes"
    return "names"


def _number_kind(sample: "pd.Series[str]", rows: int, distinct: int) -> Kind:
    """Whole numbers of a scale are classes, each once are ids, all others are a measure."""
    whole = _share(sample, _WHOLE) == 1
    if whole and distinct > 0.9 * rows and rows > _MOST_NUMBERED_CLASSES:
        return "ids"
    few = distinct <= _MOST_NUMBERED_CLASSES and (whole or distinct <= 11) and 2 * distinct <= rows
    if few:
        return "classes"
    return "codes" if whole and rows >= 5 * distinct and distinct <= _MOST_CLASSES else "numbers"


def _is_prose(sample: "pd.Series[str]") -> bool:
    spaced = float(sample.str.contains(r"\S\s+\S", regex=True).mean())
    characters = float(sample.str.len().mean())
    if spaced >= 0.5 and characters >= 10:
        return True
    return characters >= 5 and _unspaced_share(sample) >= 0.5


def _unspaced_share(sample: "pd.Series[str]") -> float:
    letters = [letter for letter in "".join(sample.iloc[:500]) if letter.isalpha()]
    if not letters:
        return 0.0
    return sum(script_of(letter) in _UNSPACED for letter in letters) / len(letters)


def _share(sample: "pd.Series[str]", pattern: str) -> float:
    return float(sample.str.fullmatch(re.compile(pattern)).mean())


def _cut(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= 40 else f"{line[:39]}…"
