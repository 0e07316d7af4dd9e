"""The options and the metrics of the kinds, and which encoded labels belong to which target.

A kind's spec.py has

    Options               a settings class of what the kind needs to know of the data
    METRICS               what a target may be judged by, a Metric by name; the first is the default
    label_width(outputs)  columns of the encoded labels of a target with so many outputs
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from decant.runtime.errors import UserError
from decant.runtime.settings import parse
from decant.tasks.kinds import kinds, part
from decant.tasks.metric import Metric
from decant.tasks.task import Target, Task

Array = TypeVar("Array", bound=Any)  # numpy's or torch's


def metrics(kind: str) -> Mapping[str, Metric]:
    """The metrics of a kind, the default first. Raises UserError for an unknown kind."""
    found: Mapping[str, Metric] = _of(kind).METRICS
    return found


def metric_of(target: Target) -> Metric:
    """The metric by which a target is judged."""
    return metrics(target.kind)[target.metric]


def task_metric(task: Task) -> Metric:
    """Of the only target, or the mean over several."""
    if len(task.targets) == 1:
        return metric_of(task.targets[0])
    is_share = all(metric_of(target).is_share for target in task.targets)
    return Metric(title="mean score", is_share=is_share)


def typed_options(kind: str, options: Mapping[str, Any], *, where: str) -> Any:
    """A kind's options. Raises UserError for an unknown kind, or whatever is wrong with them."""
    return parse(_of(kind).Options, options, where)


def option_names(kind: str) -> list[str]:
    """The names of a kind's options. Raises UserError for an unknown kind."""
    return [field.name for field in dataclasses.fields(_of(kind).Options)]


def label_width(target: Target) -> int:
    """How many columns its encoded labels have."""
    return int(_of(target.kind).label_width(len(target.outputs)))


def with_labels(task: Task, labels: Array) -> Iterator[tuple[Target, slice, Array]]:
    """Each target with its columns of the logits and its encoded labels.

    Args:
        labels: (rows,) of the only target, or (rows, E) of all, as labels.py encodes them.
    """
    if labels.ndim == 1:
        ((target, columns),) = task.parts()
        yield target, columns, labels
        return
    start = 0
    for target, columns in task.parts():
        width = label_width(target)
        yield target, columns, labels[:, start : start + width]
        start += width


def _of(kind: str) -> Any:
    if kind not in kinds():
        raise UserError(
            f"there is no kind of target '{kind}'",
            code="task-unknown",
            hint=f"kinds: {', '.join(kinds())}",
        )
    return part(kind, "spec")
