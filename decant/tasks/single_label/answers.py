"""The most probable class and its probability."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.task import Target


@dataclass(frozen=True)
class Prediction:
    """A label and the probability that the model gives it."""

    label: str
    score: float


ANSWER = Prediction
CELLS: Mapping[str, type] = {"label": str, "score": float}
_ADDED_IN_TURN = 8  # fewer numbers NumPy adds from the first to the last, more in several sums


def values(logits: NDArray[np.float32], target: Target) -> NDArray[np.float64]:
    """Probabilities (rows, classes)."""
    return softmax(logits)


def answers(values: NDArray[np.float64], target: Target) -> list[Prediction]:
    """The best class of each row."""
    return [_best(row, target) for row in values.tolist()]


def answer(logits: list[float], target: Target) -> Prediction:
    """Of one row, bit for bit that of `answers`: its arrays would take most of a text's time."""
    highest = max(logits)
    exponentials = np.exp([logit - highest for logit in logits])
    if len(logits) < _ADDED_IN_TURN:
        total, parts = 0.0, exponentials.tolist()
        for part in parts:
            total += part
        return _best([part / total for part in parts], target)
    return _best((exponentials / exponentials.sum()).tolist(), target)


def cells(answer: Prediction) -> dict[str, Any]:
    """Label and score."""
    return {"label": answer.label, "score": answer.score}


def shown(answer: Prediction) -> str:
    """Such as `fresh (0.971)`."""
    return f"{answer.label} ({answer.score:.3f})"


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (rows, classes) from logits (rows, classes)."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def _best(probabilities: list[float], target: Target) -> Prediction:
    score = max(probabilities)
    return Prediction(target.outputs[probabilities.index(score)], score)
