"""A column of classes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from decant.runtime.errors import UserError
from decant.tasks.guess import Guess, only, present

KIND = "single_label"


def evident(frame: pd.DataFrame, lists: Collection[str]) -> Iterator[Guess]:
    """None: classes are what a label is taken for where nothing else is evident."""
    return iter(())


def guess(
    frame: pd.DataFrame, columns: Sequence[str], lists: Collection[str], options: Mapping[str, Any]
) -> Guess:
    """Each value is a class. Raises UserError where nearly all values differ, and for lists."""
    name = only(columns, KIND)
    values = present(frame[name])
    distinct = values.nunique()
    if name in lists or distinct < 2 or 2 * distinct > len(values):
        found = "lists" if name in lists else f"{distinct:,} values in {len(values):,} rows"
        raise UserError(
            f"the column '{name}' has {found}, not classes",
            code="label-not-classes",
            hint="give a column of classes, or another kind",
        )
    return Guess(kind=KIND, columns=(name,), options={}, look=f"{distinct} classes")
