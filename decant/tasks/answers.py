"""From logits to what a person gets, with numpy alone: this goes into a served model.

A kind's answers.py has, with logits (rows, W):

    values(logits, target)    (rows, W): probabilities, or numbers in the unit of the data
    answers(values, target)   a list with an answer per row
    ANSWER                    the class of an answer: a frozen dataclass
    CELLS                     its cells by name, each with its type: str, float, list (of str) or
                              dict (of float by str)
    cells(answer)             the answer as a flat dict with these keys, for tables and servers
    shown(answer)             the answer in one line

and, where arrays would take most of the time that one text has,

    answer(logits, target)    the answer of one row, a list of W numbers
"""

from collections.abc import Callable, Mapping, Sequence
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
    return answerer(task)(logits)


def answerer(task: Task) -> Callable[[NDArray[np.float32]], list[Any]]:
    """`answers` of one task, its kinds looked up once: a text takes a few dozen microseconds."""
    if len(task.targets) == 1:
        (target,) = task.targets
        kind = _of(target)
        of_one = getattr(kind, "answer", None)

        def answer_only(logits: NDArray[np.float32]) -> list[Any]:
            if of_one and len(logits) == 1:
                return [of_one(logits[0].tolist(), target)]
            return list(kind.answers(kind.values(logits, target), target))

        return answer_only
    names = [target.name for target in task.targets]
    parts = [(target, columns, _of(target)) for target, columns in task.parts()]

    def answer(logits: NDArray[np.float32]) -> list[Any]:
        by_target = [
            kind.answers(kind.values(logits[:, columns], target), target)
            for target, columns, kind in parts
        ]
        return [dict(zip(names, row, strict=True)) for row in zip(*by_target, strict=True)]

    return answer


def columns(task: Task) -> dict[str, type]:
    """The cells of every answer, in their order, each with its type; named as in `cells`."""
    if len(task.targets) == 1:
        return dict(_of(task.targets[0]).CELLS)
    return {
        f"{target.name}_{key}": kind
        for target in task.targets
        for key, kind in _of(target).CELLS.items()
    }


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


def readable(task: Task, answer: Any) -> dict[str, str]:
    """The cells as short texts, for a table on a terminal.

    An answer with a list or a dict in it has one cell, the answer in one line.
    """
    if len(task.targets) == 1:
        return _readable(_of(task.targets[0]), answer)
    of_each: Mapping[str, Any] = answer
    return {
        f"{target.name}_{key}": text
        for target in task.targets
        for key, text in _readable(_of(target), of_each[target.name]).items()
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


def _readable(kind: Any, answer: Any) -> dict[str, str]:
    if not set(kind.CELLS.values()) <= {str, float}:
        return {next(iter(kind.CELLS)): kind.shown(answer)}
    found: Mapping[str, Any] = kind.cells(answer)
    return {key: f"{cell:.4f}" if kind.CELLS[key] is float else cell for key, cell in found.items()}


def _of(target: Target) -> Any:
    return part(target.kind, "answers")
