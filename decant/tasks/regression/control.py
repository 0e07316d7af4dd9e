"""Ridge regression, and the mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from decant.tasks.regression.answers import values
from decant.tasks.regression.scores import score
from decant.tasks.task import Target

METHOD = "ridge regression"


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Ridge regression of the scaled number.

    Attributes:
        c: 1 / (2 alpha), as the C of logistic regression; the best of the grid on the validation
            rows.
        validation_score: the target's metric there.
    """

    target: Target
    c: float
    validation_score: float
    model: Ridge

    def logits(self, features: Any) -> NDArray[np.float64]:
        """(rows, 1), in the units of the labels' standard deviation."""
        return np.asarray(features @ self.model.coef_ + self.model.intercept_).reshape(-1, 1)

    def values(self, features: Any) -> NDArray[np.float64]:
        """Numbers (rows, 1)."""
        return values(self.logits(features), self.target)

    @property
    def linear(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
        """Weights (terms, 1) and bias (1,)."""
        return self.model.coef_.reshape(-1, 1), np.reshape(self.model.intercept_, 1)


def fit(
    features: Any,
    labels: NDArray[np.float64],
    held_out: Any,
    held_out_labels: NDArray[np.float64],
    target: Target,
    *,
    c_grid: Sequence[float],
    seed: int,
) -> Fitted:
    """The penalty is the squared weights times alpha = 1 / (2 C)."""
    best: Fitted | None = None
    for c in sorted(c_grid):
        model = Ridge(alpha=1 / (2 * c), random_state=seed).fit(features, labels[:, 0])
        fitted = Fitted(target=target, c=c, validation_score=0.0, model=model)
        reached = np.nan_to_num(score(fitted.logits(held_out), held_out_labels, target))
        if best is None or reached > best.validation_score:
            best = Fitted(target=target, c=c, validation_score=float(reached), model=model)
    assert best is not None  # the grid has at least one value
    return best


def constant(labels: NDArray[np.float64], target: Target) -> tuple[NDArray[np.float64], str]:
    """The mean of the labels: as values (1,), and in words."""
    found = values(labels.mean(axis=0, keepdims=True), target)[0]
    return found, f"the mean, {found[0]:.4g}"
