"""Train, validation and test: given, or split off so that no group crosses them."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from components.ingest.checks import candidates
from decant.runtime.errors import UserError


def assign_splits(
    rows: pd.DataFrame,
    *,
    test_fraction: float,
    validation_fraction: float,
    seed: int,
    grouped: bool,
    labels: Sequence[str],
) -> None:
    """Give every labelled row its split: test first, then validation off the rest.

    A given split keeps its rows. Otherwise, stratified by class: with groups the first fold of
    StratifiedGroupKFold with round(1 / fraction) folds, else a random draw of the fraction.

    Raises:
        UserError: too few rows or groups to split, or a class without training rows after the
            split.
    """
    usable = candidates(rows)
    for split, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        given = rows["role"] == split
        if given.any():
            if not (given & usable).any():
                raise UserError(
                    f"ingest.{split} has no usable row",
                    code="rows-unusable",
                    hint="check its text and label columns",
                )
            rows.loc[given & usable, "split"] = split
            continue
        pool = rows[usable & (rows["role"] == "source") & rows["split"].isna()]
        held_out = _draw_groups if grouped else _draw_rows
        rows.loc[pool.index[held_out(pool, fraction, seed, split)], "split"] = split
    rows.loc[usable & rows["split"].isna(), "split"] = "train"
    counts = rows.loc[rows["split"] == "train", "label"].value_counts()
    if lacking := [label for label in labels if label not in counts.index]:
        raise UserError(
            f"class '{lacking[0]}' has no row left for training",
            code="class-empty",
            hint="give more rows of that class, or another ingest.split_seed",
        )


def _draw_rows(pool: pd.DataFrame, fraction: float, seed: int, split: str) -> NDArray[np.int64]:
    """Positions in the pool, about `fraction` of each class."""
    try:
        _, drawn = train_test_split(
            np.arange(len(pool)),
            test_size=fraction,
            random_state=seed,
            stratify=pool["label"].to_numpy(dtype=object),
        )
    except ValueError as error:
        raise _cannot_split(pool, split, str(error)) from None
    return np.sort(drawn)


def _draw_groups(pool: pd.DataFrame, fraction: float, seed: int, split: str) -> NDArray[np.int64]:
    """Positions in the pool; a row without a group is its own group."""
    groups = pool["group"].fillna(pool["row_id"])
    folds = StratifiedGroupKFold(round(1 / fraction), shuffle=True, random_state=seed)
    labels = pool["label"].to_numpy(dtype=object)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # classes with fewer rows than folds
            _, drawn = next(folds.split(np.zeros(len(pool)), labels, pd.factorize(groups)[0]))
    except ValueError as error:
        raise _cannot_split(pool, split, str(error)) from None
    return np.sort(drawn)


def _cannot_split(pool: pd.DataFrame, split: str, problem: str) -> UserError:
    counts = pool["label"].value_counts()
    smallest = f"; smallest class: '{counts.index[-1]}' with {counts.iloc[-1]}" if len(pool) else ""
    return UserError(
        f"the {split} split cannot be made from {len(pool)} rows{smallest}: {problem}",
        code="split-impossible",
        hint=f"give more rows, give ingest.{split} as a file, or change ingest.{split}_fraction",
    )
