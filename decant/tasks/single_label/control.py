"""Logistic regression, and the most frequent class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from decant.runtime.errors import UserError
from decant.tasks.single_label.scores import constant_logits, score
from decant.tasks.task import Target

METHOD = "logistic regression"


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Multinomial logistic regression.

    Attributes:
        c: inverse strength of the regularisation, the best of the grid on the validation rows.
        validation_score: the target's metric there.
    """

    target: Target
    c: float
    validation_score: float
    model: LogisticRegression

    def values(self, features: Any) -> NDArray[np.float64]:
        """Probabilities (rows, classes); 0 for a class that has no training row."""
        result = np.zeros((features.shape[0], len(self.target.outputs)))
        result[:, self.model.classes_] = self.model.predict_proba(features)
        return result

    @property
    def linear(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
        """Weights (terms, classes) and bias (classes,), -inf of a class without a training row."""
        rows, offsets = self.model.coef_, self.model.intercept_
        if len(self.model.classes_) == 2:  # two classes share one row in scikit-learn
            rows = np.concatenate([-rows, rows]) / 2
            offsets = np.concatenate([-offsets, offsets]) / 2
        classes = len(self.target.outputs)
        weights = np.zeros((rows.shape[1], classes), dtype=rows.dtype)
        bias = np.full(classes, -np.inf, dtype=rows.dtype)
        weights[:, self.model.classes_], bias[self.model.classes_] = rows.T, offsets
        return weights, bias


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
    """Raises UserError for training rows of one class."""
    classes = labels[:, 0].astype(np.int64)
    if (found := len(np.unique(classes))) < 2:
        raise UserError(
            f"the training rows of '{target.column}' have {found} label(s); "
            "a classifier needs at least 2",
            code="class-single",
            hint="raise the label budget, or set it per class",
        )
    best: Fitted | None = None
    for c in sorted(c_grid):
        model = LogisticRegression(C=c, max_iter=1000, random_state=seed)
        model.fit(features, classes)
        fitted = Fitted(target=target, c=c, validation_score=0.0, model=model)
        reached = score(fitted.values(held_out), held_out_labels, target)
        if best is None or reached > best.validation_score:
            best = Fitted(target=target, c=c, validation_score=reached, model=model)
    assert best is not None  # the grid has at least one value
    return best


def constant(labels: NDArray[np.float64], target: Target) -> tuple[NDArray[np.float64], str]:
    """The most frequent class, of equally frequent ones the first: as values (W,), and in words."""
    logits = constant_logits(labels, target)
    return logits, target.outputs[int(logits.argmax())]
