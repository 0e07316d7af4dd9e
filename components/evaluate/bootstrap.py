"""Paired bootstrap: how far other test rows of the same kind could move a figure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decant.figures.figure_set import Interval
from decant.tasks.quality import Measured
from decant.tasks.task import Task

LEVEL = 0.95
# Numbers of resamples times rows that are held at once: 16 MB.
_HELD = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Scores of one model over the resamples.

    Attributes:
        score: of the task (samples,): the only target's, or the weighted mean of the targets'.
        targets: by target (samples,).
    """

    score: NDArray[np.float64]
    targets: Mapping[str, NDArray[np.float64]]


def resampled_scores(
    task: Task,
    tested: Mapping[str, Mapping[str, Measured]],
    known: Mapping[str, NDArray[np.bool_]],
    *,
    samples: int,
    seed: int,
) -> dict[str, Resampled]:
    """Scores of every model over the same resamples of the test rows.

    Args:
        tested: per model, by target.
        known: per target the rows (rows,) whose label is known; only these count for it.
    """
    drawn = _of_right_rows(task, tested, samples=samples, seed=seed)
    if drawn is None:
        drawn = _of_rows(tested, known, samples=samples, seed=seed)
    weights = [target.weight for target in task.targets]
    return {
        model: Resampled(
            score=next(iter(found.values()))
            if len(found) == 1
            else np.average([*found.values()], axis=0, weights=weights),
            targets=found,
        )
        for model, found in drawn.items()
    }


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


def _of_right_rows(
    task: Task, tested: Mapping[str, Mapping[str, Measured]], *, samples: int, seed: int
) -> dict[str, dict[str, NDArray[np.float64]]] | None:
    """Per model and target (samples,), where the only target's metric is a share of right rows."""
    if len(task.targets) > 1:
        return None
    name = task.targets[0].name
    right = {model: found[name].quality.right for model, found in tested.items()}
    if any(rows is None for rows in right.values()):
        return None
    drawn = resampled_accuracies(right, samples=samples, seed=seed)
    return {model: {name: scores} for model, scores in drawn.items()}


def _of_rows(
    tested: Mapping[str, Mapping[str, Measured]],
    known: Mapping[str, NDArray[np.bool_]],
    *,
    samples: int,
    seed: int,
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Per model and target (samples,), from how often each row is drawn."""
    rows = len(next(iter(known.values())))
    parts: dict[str, dict[str, list[NDArray[np.float64]]]] = {
        model: {name: [] for name in found} for model, found in tested.items()
    }
    for counts in _counts(rows, samples, seed):
        for name, is_known in known.items():
            weights = counts[:, is_known]
            for model, found in tested.items():
                parts[model][name].append(found[name].resampled(weights))
    return {
        model: {name: np.concatenate(scores) for name, scores in found.items()}
        for model, found in parts.items()
    }


def _counts(rows: int, samples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each row is in a resample, (some of the samples, rows), until all are there."""
    random = np.random.default_rng(seed)
    at_once = max(1, _HELD // rows)
    for start in range(0, samples, at_once):
        drawn = (
            np.bincount(random.integers(0, rows, rows), minlength=rows)
            for _ in range(start, min(samples, start + at_once))
        )
        yield np.stack([*drawn]).astype(np.float64)


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
