"""Quality of numbers: correlation, error, explained variance, and agreement on grades."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.figures.figure_set import LeftOut
from decant.figures.target_figures import TargetFigures
from decant.tasks.regression.scores import SCORES
from decant.tasks.task import Target

Array = NDArray[np.float64]

# Two answers are the same when they differ by less than this many standard deviations of the
# training labels, as in scores.py.
_SAME = 0.05
_NO_SPREAD = 1e-12


class NumberFigures(TargetFigures):
    """Of a target with a number."""

    pearson: float | None
    """Pearson's correlation of answers and labels, -1 to 1; null where one of them is constant."""

    spearman: float | None
    """Spearman's rank correlation, -1 to 1; null where one of them is constant."""

    mae: float
    """Mean absolute error, in the unit of the data."""

    r2: float | None
    """Share of the labels' variance that is explained, at most 1; null where it is 0."""

    quadratic_kappa: LeftOut[float] = None
    """Cohen's kappa with quadratic weights of the rounded numbers, -1 to 1; only of grades."""


FIGURES = NumberFigures


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How well one model does on the test rows.

    Attributes:
        true, answers: in the unit of the data (rows,).
    """

    target: Target
    true: Array
    answers: Array

    right = None  # no answer is right or wrong

    @property
    def rows(self) -> int:
        """Of the test."""
        return len(self.true)

    @cached_property
    def figures(self) -> dict[str, Any]:
        """Those of NumberFigures."""
        names = ["pearson", "spearman", "r2"]
        if self.target.facts.get("ordinal"):
            names.append("quadratic_kappa")
        found = {name: _defined(SCORES[name](self.true, self.answers)) for name in names}
        return {**found, "mae": float(np.abs(self.true - self.answers).mean())}

    def missed_classes(self, teacher: "Quality") -> None:
        """There are no classes."""
        return

    def agreement(self, other: "Quality") -> float:
        """Share of the rows whose answers are nearly the same."""
        nearly = _SAME * float(self.target.facts["scale"])
        return float(np.mean(np.abs(self.answers - other.answers) <= nearly))

    def resampled(self, weights: Array) -> Array:
        """The metric (samples,) of weights (samples, rows)."""
        return _RESAMPLED[self.target.metric](self.true, self.answers, weights)


def measure(
    values: NDArray[np.floating[Any]], labels: NDArray[np.float64], target: Target
) -> Quality:
    """Compare scaled labels (rows, 1) with numbers (rows, 1)."""
    scale, center = float(target.facts["scale"]), float(target.facts["center"])
    return Quality(
        target=target, true=labels[:, 0] * scale + center, answers=values[:, 0].astype(np.float64)
    )


def _pearson(true: Array, answers: Array, weights: Array) -> Array:
    one, other, both = _moments(true, answers, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = both / np.sqrt(one * other)
    return np.asarray(np.where(np.sqrt(one * other) > _NO_SPREAD, found, np.nan))


def _spearman(true: Array, answers: Array, weights: Array) -> Array:
    """Pearson's of the ranks within each resample, equal numbers sharing their mean rank."""
    ranks = _ranks(true, weights), _ranks(answers, weights)
    rows = weights.sum(axis=1, keepdims=True)
    one, other = (rank - (weights * rank).sum(axis=1, keepdims=True) / rows for rank in ranks)
    both = (weights * one * other).sum(axis=1)
    spread = np.sqrt((weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(spread > _NO_SPREAD, both / spread, np.nan))


def _r2(true: Array, answers: Array, weights: Array) -> Array:
    spread, _, _ = _moments(true, answers, weights)
    errors = weights @ (true - answers) ** 2 / weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(spread > _NO_SPREAD, 1 - errors / spread, np.nan))


def _quadratic_kappa(true: Array, answers: Array, weights: Array) -> Array:
    true, answers = np.rint(true), np.rint(answers)
    one, other, _ = _moments(true, answers, weights)
    rows = weights.sum(axis=1)
    errors = weights @ (true - answers) ** 2 / rows
    by_chance = one + other + (weights @ (true - answers) / rows) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(by_chance > _NO_SPREAD, 1 - errors / by_chance, np.nan))


_RESAMPLED = {
    "pearson": _pearson,
    "spearman": _spearman,
    "r2": _r2,
    "quadratic_kappa": _quadratic_kappa,
}


def _moments(true: Array, answers: Array, weights: Array) -> tuple[Array, Array, Array]:
    """Both variances and the covariance (samples,), from sums over the rows."""
    # Around the means of all rows, so that no large numbers are subtracted.
    one, other = true - true.mean(), answers - answers.mean()
    rows = weights.sum(axis=1)
    mean, other_mean = weights @ one / rows, weights @ other / rows
    return (
        np.maximum(weights @ one**2 / rows - mean**2, 0),
        np.maximum(weights @ other**2 / rows - other_mean**2, 0),
        weights @ (one * other) / rows - mean * other_mean,
    )


def _ranks(values: Array, weights: Array) -> Array:
    """(samples, rows): the mean rank of each row's value where row i counts weights[:, i] times."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(values[order]) != 0))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = counts.cumsum(axis=1) - (counts - 1) / 2
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(values))))
    return np.asarray(ranks[:, place])


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
