"""Paired bootstrap: how far other test rows of the same kind could move a figure."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from decant.figures.figure_set import Interval

LEVEL = 0.95


def resampled_accuracies(
    correct: Mapping[str, NDArray[np.bool_]], *, samples: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Accuracies (samples,) of every model over the same resamples of the test rows.

    Args:
        correct: per model the rows (rows,) that it gets right.

    Drawing n of n rows with replacement and counting how many were right for which models is one
    draw from a multinomial over the patterns of right and wrong that occur. That is the same
    distribution at a cost that does not grow with the rows.
    """
    outcomes = np.stack(list(correct.values()), axis=1)  # (rows, models)
    patterns, counts = np.unique(outcomes, axis=0, return_counts=True)
    rows = len(outcomes)
    drawn = np.random.default_rng(seed).multinomial(rows, counts / rows, size=samples)
    accuracies = drawn @ patterns.astype(np.float64) / rows  # (samples, models)
    return {model: accuracies[:, index] for index, model in enumerate(correct)}


def interval(values: NDArray[np.float64]) -> Interval | None:
    """The middle 95 % of resampled values; None where no value is defined.

    Source: the percentile interval, Efron and Tibshirani 1993, chapter 13.
    """
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ratio part / whole (samples,), NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
