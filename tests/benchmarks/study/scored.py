"""Splits of which it is known how a model answers."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.study.results import Scored
from decant.tasks.quality import Labels, Values, known_rows, measure
from decant.tasks.task import Task

CLASSES = Task.of_classes(("wrong", "right"))


def scored(task: Task, values: Mapping[str, Values], labels: Labels) -> Scored:
    return Scored(targets=measure(task, values, labels), known=known_rows(task, labels))


def right_rows(right: Sequence[int] | np.ndarray) -> Scored:
    """Every label is the second class, which is answered where `right` (rows,) is true."""
    answers = np.asarray(right).astype(np.int64)
    labels = np.ones(len(answers), dtype=np.int32)
    return scored(CLASSES, {"label": np.eye(2)[answers]}, labels)
