"""Two models on numbers: correlations, explained variance, errors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.regression.scores import SAME, SCORES
from decant.tasks.task import Target

Array = NDArray[np.number[Any]]


def recorded(target: Target) -> list[str]:
    """The number."""
    return ["value"]


def right(values: Array, labels: Array, target: Target) -> None:
    """A number is more or less near."""
    return


def statistics(values: Array, labels: Array, target: Target) -> Array | None:
    """1, x, y, x², y², xy of answers x and labels y, and (y - x)²; None of Spearman's rho."""
    if target.metric == "spearman":
        return None
    x, y = values[:, 0].astype(np.float64), _numbers(labels, target)
    if target.metric == "quadratic_kappa":
        x, y = np.rint(x), np.rint(y)
    else:  # sums of squares far from 0 would lose digits
        x, y = x - float(target.facts["center"]), y - float(target.facts["center"])
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y, (y - x) ** 2], axis=1)


def score(sums: Array, target: Target) -> NDArray[np.float64]:
    """Pearson's r, R² or quadratic kappa; NaN where it is not defined."""
    rows, x, y, xx, yy, xy, squares = sums.T
    of_x, of_y = xx / rows - (x / rows) ** 2, yy / rows - (y / rows) ** 2
    if target.metric == "pearson":
        return _ratio(xy / rows - x * y / rows**2, np.sqrt(np.maximum(of_x * of_y, 0)))
    if target.metric == "r2":
        return 1 - _ratio(squares / rows, of_y)
    return 1 - _ratio(squares / rows, of_x + of_y + ((x - y) / rows) ** 2)


def ranked(
    values: Array, labels: Array, target: Target, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Spearman's rho: Pearson's r of the ranks, equal numbers sharing their mean rank."""
    x, y = (_ranks(one, weights) for one in (values[:, 0], labels[:, 0]))
    rows = weights.sum(axis=1, keepdims=True)
    x, y = (one - (weights * one).sum(axis=1, keepdims=True) / rows for one in (x, y))
    squares = (weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1)
    return _ratio((weights * x * y).sum(axis=1), np.sqrt(squares))


def details(values: Array, labels: Array, target: Target) -> dict[str, Any]:
    """All scores that are defined, and the mean absolute error."""
    answered, true = values[:, 0].astype(np.float64), _numbers(labels, target)
    wanted = [name for name in SCORES if target.facts.get("ordinal") or name != "quadratic_kappa"]
    found = {name: float(np.nan_to_num(SCORES[name](true, answered))) for name in wanted}
    return found | {"mae": float(np.mean(np.abs(true - answered)))}


def shown(details: dict[str, Any]) -> dict[str, str]:
    """For the table of a comparison."""
    titles = {
        "pearson": "Pearson's r",
        "spearman": "Spearman's rho",
        "r2": "R²",
        "quadratic_kappa": "quadratic kappa",
        "mae": "mean absolute error",
    }
    return {titles[name]: f"{value:.4g}" for name, value in details.items()}


def recognised(values: Array, labels: Array, target: Target) -> dict[str, tuple[int, int]]:
    """There are no classes."""
    return {}


def decided(values: Array, target: Target) -> NDArray[Any]:
    """The number."""
    return np.asarray(values[:, 0], dtype=np.float64)


def certainty(values: Array, target: Target) -> None:
    """A number has no probability."""
    return


def truth(labels: Array, target: Target) -> NDArray[Any]:
    """In the unit of the data, without the digits that encoded labels (float32) do not have."""
    digits = 5 - int(np.floor(np.log10(float(target.facts["scale"]))))
    return np.asarray(np.round(_numbers(labels, target), digits))


def apart(values: Array, others: Array, target: Target, other: Target) -> NDArray[Any]:
    """The difference, where it is one: see scores.agreement."""
    found = np.abs(values[:, 0].astype(np.float64) - others[:, 0])
    return np.where(found > SAME * float(target.facts["scale"]), found, 0)


def _numbers(labels: Array, target: Target) -> NDArray[np.float64]:
    scaled = labels[:, 0].astype(np.float64)
    return np.asarray(scaled * float(target.facts["scale"]) + float(target.facts["center"]))


def _ratio(part: Array, whole: Array) -> NDArray[np.float64]:
    found = np.full(len(part), np.nan)
    return np.asarray(np.divide(part, whole, out=found, where=whole > 1e-12))


def _ranks(numbers: Array, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, rows): of each row its mean rank among rows that count weights (n, rows) times."""
    distinct, group = np.unique(numbers, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(distinct)))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    return np.asarray((np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, group])
