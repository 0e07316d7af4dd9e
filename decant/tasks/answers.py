"""From logits to what a person gets, with numpy alone: this goes into a served model.

A kind's answers.py has, with logits (rows, W):

    values(logits, target)    (rows, W): probabilities, or numbers in the unit of the data
    answers(values, target)   a list with an answer per row
    ANSWER                    the class of an answer: a frozen dataclass
    cells(answer)             the answer as a flat dict of JSON's types, for tables and servers;
                              the same keys for every row
    shown(answer)             the answer in one line
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.kinds import part
from decant.tasks.task import Target, Task

Values = NDArray[np.float64]


def values(task: Task, logits: NDArray[np.float32]) -> dict[str, Values]:
    """Per target (rows, W)."""
    return {
        target.name: _of(target).values(logits[:, columns], target)
        for target, columns in task.parts()
    }


def answers(task: Task, logits: NDArray[np.float32]) -> list[Any]:
    """An answer per row: of the only target, or of several a dict by their names."""
    found = values(task, logits)
    by_target = [_of(target).answers(found[target.name], target) for target in task.targets]
    if len(by_target) == 1:
        return list(by_target[0])
    names = [target.name for target in task.targets]
    return [dict(zip(names, row, strict=True)) for row in zip(*by_target, strict=True)]


def cells(task: Task, answer: Any) -> dict[str, Any]:
    """An answer as flat cells; of several targets each begins with TARGET_."""
    if len(task.targets) == 1:
        return dict(_of(task.targets[0]).cells(answer))
    of_each: Mapping[str, Any] = answer
    return {
        f"{target.name}_{key}": cell
        for target in task.targets
        for key, cell in _of(target).cells(of_each[target.name]).items()
    }


def shown(task: Task, answer: Any) -> str:
    """An answer in one line."""
    if len(task.targets) == 1:
        return str(_of(task.targets[0]).shown(answer))
    of_each: Mapping[str, Any] = answer
    lines: Sequence[str] = [
        f"{target.name}: {_of(target).shown(of_each[target.name])}" for target in task.targets
    ]
    return "; ".join(lines)


def _of(target: Target) -> Any:
    return part(target.kind, "answers")
