"""The number, in the unit of the data, within its bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.task import Target


@dataclass(frozen=True)
class Number:
    """What the model answers, such as 4.2 stars."""

    value: float


ANSWER = Number
CELLS: Mapping[str, type] = {"value": float}


def values(logits: NDArray[np.floating[Any]], target: Target) -> NDArray[np.float64]:
    """Numbers (rows, 1)."""
    return numbers(logits, target)[:, None]


def answers(values: NDArray[np.float64], target: Target) -> list[Number]:
    """A number per row."""
    return [Number(float(value)) for value in values[:, 0]]


def numbers(logits: NDArray[Any], target: Target) -> NDArray[np.float64]:
    """(rows,) of logits (rows, 1): scaled back, and cut to the bounds."""
    facts = target.facts
    found = logits[:, 0].astype(np.float64) * float(facts["scale"]) + float(facts["center"])
    return np.clip(found, facts.get("minimum"), facts.get("maximum"))


def cells(answer: Number) -> dict[str, Any]:
    """The value."""
    return {"value": answer.value}


def shown(answer: Number) -> str:
    """To four digits."""
    return f"{answer.value:.4g}"
