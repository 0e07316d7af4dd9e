"""The labels whose probability reaches their threshold, and the probabilities of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.task import Target


@dataclass(frozen=True)
class Labels:
    """The labels of a text, most probable first, and the probability of every label."""

    labels: tuple[str, ...]
    scores: Mapping[str, float]


ANSWER = Labels
CELLS: Mapping[str, type] = {"labels": list, "scores": dict}


def values(logits: NDArray[np.floating[Any]], target: Target) -> NDArray[np.float64]:
    """Probabilities (rows, labels), independent of each other."""
    return _sigmoid(logits.astype(np.float64))


def answers(values: NDArray[np.float64], target: Target) -> list[Labels]:
    """Labels at or above their thresholds."""
    least, names = thresholds(target).tolist(), target.outputs
    found = []
    for row in values.tolist():  # plain numbers: of one text, arrays would take most of the time
        chosen = [index for index, value in enumerate(row) if value >= least[index]]
        chosen.sort(key=row.__getitem__, reverse=True)  # equal ones stay in the model's order
        labels = tuple(names[index] for index in chosen)
        found.append(Labels(labels=labels, scores=dict(zip(names, row, strict=True))))
    return found


def thresholds(target: Target) -> NDArray[np.float64]:
    """The probability from which on each label is answered, (labels,)."""
    chosen = target.facts.get("decision", {}).get("thresholds")
    if chosen is None:
        return np.full(len(target.outputs), float(target.facts["threshold"]))
    return _probabilities(tuple(chosen))


def cells(answer: Labels) -> dict[str, Any]:
    """The labels, and the probabilities of all in the order of the model."""
    return {"labels": list(answer.labels), "scores": dict(answer.scores)}


def shown(answer: Labels) -> str:
    """Such as `anger (0.93), fear (0.61)`; `-` for none."""
    found = [f"{label} ({answer.scores[label]:.3f})" for label in answer.labels]
    return ", ".join(found) or "-"


@lru_cache
def _probabilities(logits: tuple[float, ...]) -> NDArray[np.float64]:
    found = _sigmoid(np.array(logits, dtype=np.float64))
    found.flags.writeable = False  # all callers share it
    return found


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-logits)))
