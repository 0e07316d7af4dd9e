"""A split of which it is known which rows a model gets right."""

from collections.abc import Sequence

import numpy as np

from benchmarks.study.results import Scored
from decant.tasks.quality import known_rows, measure
from decant.tasks.task import Task

TASK = Task.of_classes(("wrong", "right"))


def right_rows(right: Sequence[int] | np.ndarray) -> Scored:
    """Every label is the second class, which is answered where `right` (rows,) is true."""
    answers = np.asarray(right).astype(np.int64)
    labels = np.ones(len(answers), dtype=np.int32)
    return Scored(
        targets=measure(TASK, {"label": np.eye(2)[answers]}, labels),
        known=known_rows(TASK, labels),
    )
