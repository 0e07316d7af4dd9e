"""A column of numbers; whole ones on a short scale are grades."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from decant.runtime.errors import UserError
from decant.tasks.guess import Guess, only, place, present

KIND = "regression"

_MOST_GRADES = 11  # 0 to 10


def evident(frame: pd.DataFrame, lists: Collection[str]) -> Iterator[Guess]:
    """None: numbers may be codes of classes, or counts of anything."""
    return iter(())


def guess(
    frame: pd.DataFrame, columns: Sequence[str], lists: Collection[str], options: Mapping[str, Any]
) -> Guess:
    """Bounds of grades are their least and largest; other numbers have none.

    Raises UserError for a cell that is no number.
    """
    name = only(columns, KIND)
    values = present(frame[name])
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = values[numbers.isna()]
    if name in lists or len(wrong) or numbers.nunique() < 2:
        found = f"it has '{values.iloc[0]}' in all rows"
        if name in lists:
            found = "it has lists"
        elif len(wrong):
            found = f"{place(frame, int(wrong.index[0]))} has '{wrong.iloc[0]}'"
        raise UserError(
            f"the column '{name}' cannot be numbers: {found}",
            code="label-not-numbers",
            hint="give a column of numbers with a decimal point, or another kind",
        )
    whole = bool((numbers == numbers.round()).all())
    grades = whole and numbers.nunique() <= _MOST_GRADES
    low, high = float(numbers.min()), float(numbers.max())
    found_options = {
        "minimum": low if grades else None,
        "maximum": high if grades else None,
        "ordinal": grades,
    }
    what = f"grades from {low:g} to {high:g}" if grades else f"numbers from {low:g} to {high:g}"
    return Guess(kind=KIND, columns=(name,), options={**found_options, **options}, look=what)
