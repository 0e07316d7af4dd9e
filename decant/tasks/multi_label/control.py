"""One logistic regression per label (one-vs-rest), and the best constant set of labels."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from decant.tasks.multi_label.answers import values
from decant.tasks.multi_label.scores import constant_logits, decision, score
from decant.tasks.task import Target

METHOD = "one-vs-rest logistic regression"


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A logistic regression per label.

    Attributes:
        target: with thresholds chosen on the validation rows, as those of the other models.
        c: inverse strength of the regularisation, one for all labels, the best of the grid there.
        validation_score: the target's metric there, with these thresholds.
        weights, intercepts: (labels, terms) and (labels,).
    """

    target: Target
    c: float
    validation_score: float
    weights: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def logits(self, features: Any) -> NDArray[np.float64]:
        """(rows, labels)."""
        return np.asarray(features @ self.weights.T + self.intercepts)

    def values(self, features: Any) -> NDArray[np.float64]:
        """Probabilities (rows, labels)."""
        return values(self.logits(features), self.target)

    @property
    def linear(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (terms, labels) and bias (labels,)."""
        return self.weights.T, self.intercepts


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
    """A label that all or no training rows have gets the same probability for every text."""
    best: Fitted | None = None
    for c in sorted(c_grid):
        models = [_of_label(features, column, c, seed) for column in labels.T]
        fitted = Fitted(
            target=target,
            c=c,
            validation_score=0.0,
            weights=np.stack([weights for weights, _ in models]),
            intercepts=np.array([intercept for _, intercept in models]),
        )
        logits = fitted.logits(held_out)
        facts = {**target.facts, "decision": decision(logits, held_out_labels, target)}
        decided = dataclasses.replace(target, facts=facts)
        reached = float(np.nan_to_num(score(logits, held_out_labels, decided)))
        if best is None or reached > best.validation_score:
            best = dataclasses.replace(fitted, target=decided, validation_score=reached)
    assert best is not None  # the grid has at least one value
    return best


def constant(labels: NDArray[np.float64], target: Target) -> tuple[NDArray[np.float64], str]:
    """The most frequent labels, as many as are best: as values (W,), and in words.

    With mean average precision, which needs no decision, no set is better than another.
    """
    logits = constant_logits(labels, target)
    order = np.argsort(-labels.sum(axis=0), kind="stable")
    answer = ", ".join(target.outputs[index] for index in order if logits[index] > 0)
    return values(logits[None], target)[0], answer or "no label"


def _of_label(
    features: Any, column: NDArray[np.float64], c: float, seed: int
) -> tuple[NDArray[np.float64], float]:
    """Weights (terms,) and intercept: the logit of its share where all rows or none have it."""
    rows, having = len(column), column.sum()
    if having in (0, rows):
        return np.zeros(features.shape[1]), float(np.log((having + 0.5) / (rows - having + 0.5)))
    model = LogisticRegression(C=c, max_iter=1000, random_state=seed)
    model.fit(features, column.astype(np.int64))
    return model.coef_[0], float(model.intercept_[0])
