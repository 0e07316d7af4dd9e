"""Accuracy and macro-F1 of classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.task import Target

Array = NDArray[np.number[Any]]

DECIDES = False


def score(logits: Array, labels: Array, target: Target) -> float:
    """Accuracy or macro-F1 (over the classes that occur) of the rows with a label."""
    classes = labels if labels.ndim == 1 else np.nan_to_num(labels[:, 0], nan=-1)
    known = classes >= 0
    answers, classes = logits.argmax(axis=1)[known], classes[known]
    if not len(classes):
        return float("nan")
    if target.metric == "accuracy":
        return float(np.mean(answers == classes))
    found = []
    for label in np.unique(classes):
        right = int(np.sum((answers == label) & (classes == label)))
        found.append(2 * right / int(np.sum(answers == label) + np.sum(classes == label)))
    return float(np.mean(found))


def constant_logits(labels: Array, target: Target) -> NDArray[np.float64]:
    """(W,) of the most frequent class, of equally frequent ones the first."""
    classes = labels if labels.ndim == 1 else np.nan_to_num(labels[:, 0], nan=-1)
    counts = np.bincount(classes[classes >= 0].astype(np.int64), minlength=len(target.outputs))
    return np.asarray(np.eye(len(target.outputs))[int(counts.argmax())])


def agreement(logits: Array, others: Array, target: Target) -> float:
    """Share of the rows with the same most probable class."""
    return float(np.mean(logits.argmax(axis=1) == others.argmax(axis=1)))


def decision(logits: Array, labels: Array, target: Target) -> dict[str, Any]:
    """Nothing: the most probable class is the answer."""
    return {}
