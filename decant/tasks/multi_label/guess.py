"""Lists; cells of labels with a separator between them; or columns of 0 and 1 side by side."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from decant.runtime.errors import UserError
from decant.tasks.guess import Guess, only, place, present

KIND = "multi_label"

_SEPARATORS = (",", ";", "|")
_FLAGS = {"0", "1", "0.0", "1.0", "true", "false"}
_FEWEST_FLAGS = 3  # columns side by side; two may be two questions
_LONGEST_LABEL_CHARACTERS = 40
_MOST_LABELS = 500
_ODD_ROWS = 0.02  # of all rows with labels


def evident(frame: pd.DataFrame, lists: Collection[str]) -> Iterator[Guess]:
    """Lists of few labels, then a clear separator, then three columns of 0 and 1 side by side."""
    for name in frame.columns:
        if name in lists and len(_items(frame[name])) <= _MOST_LABELS:
            yield _of_lists(frame, name)
    for name in frame.columns:
        if name not in lists and (separator := _clear_separator(present(frame[name]))):
            yield _separated(frame, name, separator)
    flags = [(str(name), _is_flag(values)) for name, values in frame.items()]
    for is_flag, names in groupby(flags, key=lambda one: one[1]):
        together = tuple(name for name, _ in names)
        if is_flag and len(together) >= _FEWEST_FLAGS:
            yield _of_flags(together)


def guess(
    frame: pd.DataFrame, columns: Sequence[str], lists: Collection[str], options: Mapping[str, Any]
) -> Guess:
    """Raises UserError for columns without 0 and 1, and for a separator that is not clear."""
    given = tuple(options.get("label_columns") or (columns if len(columns) > 1 else ()))
    if given:
        return _given_flags(frame, given, options)
    name = only(columns, KIND)
    if name in lists:
        found = _of_lists(frame, name)
    elif "separator" in options:
        found = _separated(frame, name, options["separator"])
    elif separator := _clear_separator(present(frame[name])):
        found = _separated(frame, name, separator)
    else:
        raise UserError(
            f"the column '{name}' has no lists, and what separates labels is not clear, "
            f"such as in '{next(iter(present(frame[name])), '')}'",
            code="separator-unclear",
            hint="give --option separator=TEXT, --option separator=null where every cell has one "
            "label, or a --label-column for each column of 0 and 1",
        )
    options = {**found.options, **options}
    return Guess(kind=KIND, columns=found.columns, options=options, look=found.look)


def _given_flags(
    frame: pd.DataFrame, columns: tuple[str, ...], options: Mapping[str, Any]
) -> Guess:
    for name in columns:
        if name not in frame:
            raise UserError(
                f"there is no column '{name}', which label_columns lists",
                code="column-unknown",
                hint=f"the columns: {', '.join(map(str, frame.columns))}",
            )
        values = present(frame[name])
        wrong = values[~values.str.casefold().isin(_FLAGS)]
        if len(wrong):
            where = place(frame, int(wrong.index[0]))
            raise UserError(
                f"the column '{name}' has '{wrong.iloc[0]}' in {where}, not 0 or 1",
                code="label-not-flags",
                hint="each of several label columns says with 0 and 1 whether its label applies",
            )
    found = _of_flags(columns)
    return Guess(kind=KIND, columns=columns, options={**options, **found.options}, look=found.look)


def _of_lists(frame: pd.DataFrame, name: str) -> Guess:
    count = len(_items(frame[name]))
    options: dict[str, Any] = {"separator": None, "label_columns": []}
    return Guess(kind=KIND, columns=(name,), options=options, look=f"lists of {count} labels")


def _separated(frame: pd.DataFrame, name: str, separator: str | None) -> Guess:
    count = len(_parts(present(frame[name]), separator)) if separator else 0
    look = f"{count} labels with '{separator}' between them" if separator else "a label per cell"
    options: dict[str, Any] = {"separator": separator, "label_columns": []}
    return Guess(kind=KIND, columns=(name,), options=options, look=look)


def _of_flags(columns: tuple[str, ...]) -> Guess:
    options = {"separator": None, "label_columns": list(columns)}
    return Guess(kind=KIND, columns=columns, options=options, look=f"{len(columns)} columns of 0/1")


def _is_flag(values: "pd.Series[str]") -> bool:
    found = set(present(values).str.casefold().unique())
    return bool(found) and found <= _FLAGS


def _items(values: "pd.Series[str]") -> set[str]:
    return {item for cell in values.dropna().unique() for item in json.loads(cell)}


def _clear_separator(values: "pd.Series[str]") -> str | None:
    """One that joins known labels: each label stands in two different cells or more.

    In few rows labels may stand that no other cell has: a misspelled or a rare one.
    """
    cells = values.value_counts()
    for separator in _SEPARATORS:
        parts = _parts(pd.Series(cells.index, dtype=object), separator)
        alone = {one for one, count in parts.items() if count < 2}
        known = [cell for cell in cells.index if not alone & set(_split(cell, separator))]
        joined = any(separator in cell for cell in known)
        short = all(len(one) <= _LONGEST_LABEL_CHARACTERS for one in parts)
        few = cells.sum() - cells[known].sum() <= _ODD_ROWS * cells.sum()
        if joined and short and few and 2 <= len(parts) < min(len(cells), _MOST_LABELS):
            return separator
    return None


def _split(cell: str, separator: str) -> list[str]:
    return [part.strip() for part in cell.split(separator)]


def _parts(cells: "pd.Series[str]", separator: str) -> dict[str, int]:
    """In how many of the cells each label stands."""
    parts = cells.str.split(separator, regex=False).explode().str.strip()
    return {str(one): int(count) for one, count in parts[parts != ""].value_counts().items()}
