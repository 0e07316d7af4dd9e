"""What the columns of a file may be labels of, so that a person need not write it down.

A kind's guess.py has, with a table of texts, missing ones NA, where lists are written as JSON:

    evident(frame, lists)        the guesses that nothing else explains, the best first; an iterator
    guess(frame, columns, lists, options)
                                 the columns read as this kind, with the options that fit them;
                                 raises UserError where they cannot be

`lists` are the columns whose cells are lists, `options` what the person has said of the kind.
`frame.attrs["files"]` has the name and the rows of each file, for messages.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from decant.runtime.errors import UserError
from decant.tasks.kinds import kinds, part
from decant.tasks.spec import metrics
from decant.tasks.task import CLASSES


@dataclass(frozen=True, kw_only=True)
class Guess:
    """Columns as labels of a kind.

    Attributes:
        columns: which hold the labels together.
        options: of the kind, as far as they depend on the data.
        look: what was found, in words.
    """

    kind: str
    columns: tuple[str, ...]
    options: Mapping[str, Any]
    look: str


def evident(frame: pd.DataFrame, lists: Collection[str]) -> list[Guess]:
    """Of all kinds, those that nothing else explains."""
    return [one for kind in kinds() for one in part(kind, "guess").evident(frame, lists)]


def guess(
    kind: str,
    frame: pd.DataFrame,
    columns: Sequence[str],
    *,
    lists: Collection[str],
    options: Mapping[str, Any],
) -> Guess:
    """The columns as labels of the kind. Raises UserError where they cannot be, or as `metrics`."""
    metrics(kind)  # refuses an unknown kind
    for name in columns:
        if name in frame and not len(present(frame[name])):
            raise UserError(
                f"the column '{name}' has no label in any row",
                code="labels-missing",
                hint="give a column with labels",
            )
    found: Guess = part(kind, "guess").guess(frame, tuple(columns), lists, options)
    return found


def other_kinds(frame: pd.DataFrame, column: str, lists: Collection[str] = ()) -> Iterator[str]:
    """The kinds beside classes that can read a column."""
    for kind in kinds():
        if kind == CLASSES:
            continue
        try:
            guess(kind, frame, [column], lists=lists, options={})
        except UserError:
            continue
        yield kind


def only(columns: Sequence[str], kind: str) -> str:
    """The one column. Raises UserError for several."""
    if len(columns) == 1:
        return columns[0]
    raise UserError(
        f"a target of the kind {kind} has one column, not {len(columns)}: {', '.join(columns)}",
        code="option-conflict",
        hint="give one --label-column, or --target NAME:KIND:COLUMN for each of several targets",
    )


def place(frame: pd.DataFrame, index: int) -> str:
    """FILE:ROW of a row of the frame, counted from 1 without the header."""
    row = index + 1
    for name, rows in frame.attrs.get("files", ()):
        if row <= rows:
            return f"{name}:{row}"
        row -= rows
    return f"row {row}"


def present(values: "pd.Series[str]") -> "pd.Series[str]":
    """The values that are not missing, without white space at their ends."""
    stripped = values.fillna("").str.strip()
    return stripped[stripped != ""]
