"""Correlation, explained variance and weighted kappa of numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.regression.answers import numbers
from decant.tasks.task import Target

Array = NDArray[np.number[Any]]

DECIDES = False

# Of two models the answers are the same when they differ by less than this many standard
# deviations of the training labels: a twentieth of a star where stars spread by one.
SAME = 0.05


def score(logits: Array, labels: Array, target: Target) -> float:
    """The target's metric over the rows with a number; NaN where it is not defined."""
    known = ~np.isnan(labels[:, 0])
    if not known.any():
        return float("nan")
    answered = numbers(logits[known], target)
    scale, center = float(target.facts["scale"]), float(target.facts["center"])
    true = labels[known, 0].astype(np.float64) * scale + center
    return SCORES[target.metric](true, answered)


def constant_logits(labels: Array, target: Target) -> NDArray[np.float64]:
    """(1,): the mean."""
    return np.asarray(np.nanmean(labels[:, :1], axis=0, dtype=np.float64))


def agreement(logits: Array, others: Array, target: Target) -> float:
    """Share of the rows whose answers are nearly the same."""
    difference = np.abs(numbers(logits, target) - numbers(others, target))
    return float(np.mean(difference <= SAME * float(target.facts["scale"])))


def decision(logits: Array, labels: Array, target: Target) -> dict[str, Any]:
    """Nothing: the number is the answer."""
    return {}


def pearson(true: Array, answered: Array) -> float:
    """NaN where one of them is constant."""
    one, other = true - np.mean(true), answered - np.mean(answered)
    spread = np.sqrt(np.sum(one**2) * np.sum(other**2))
    return float(np.sum(one * other) / spread) if spread > 1e-12 else float("nan")


def spearman(true: Array, answered: Array) -> float:
    """Pearson's of the ranks, equal numbers sharing their mean rank."""
    return pearson(_ranks(true), _ranks(answered))


def r2(true: Array, answered: Array) -> float:
    """1 - the squared error over that of the mean; NaN where the labels are constant."""
    spread = float(np.sum((true - np.mean(true)) ** 2))
    return 1 - float(np.sum((true - answered) ** 2)) / spread if spread else float("nan")


def quadratic_kappa(true: Array, answered: Array) -> float:
    """Cohen's kappa with quadratic weights of whole numbers; answers are rounded.

    1 - the mean squared difference over that of independent draws of both (Cohen 1968).
    """
    one, other = np.rint(true), np.rint(answered)
    by_chance = np.var(one) + np.var(other) + (np.mean(one) - np.mean(other)) ** 2
    return 1 - float(np.mean((one - other) ** 2) / by_chance) if by_chance else float("nan")


SCORES = {"pearson": pearson, "spearman": spearman, "r2": r2, "quadratic_kappa": quadratic_kappa}


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse])
