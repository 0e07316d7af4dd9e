"""The columns of a corpus that hold labels, and labels as numbers.

A kind's labels.py has

    CORPUS_TYPE               the Arrow type of its column in the corpus
    encoded(column, target)   (rows, E) float32 of such a column, E of spec.label_width, NaN where
                              the label is unknown (null)
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from decant.tasks.kinds import part
from decant.tasks.task import CLASSES, Target, Task

UNKNOWN = -1


def column_of(task: Task, target: Target) -> str:
    """The corpus's column of a target: `label`, or of several `label.TARGET`."""
    return "label" if len(task.targets) == 1 else f"label.{target.name}"


def corpus_fields(task: Task) -> list[pa.Field]:
    """The label columns of the corpus, in the order of the targets."""
    return [pa.field(column_of(task, target), _of(target).CORPUS_TYPE) for target in task.targets]


def encode(task: Task, batch: pa.RecordBatch) -> NDArray[Any]:
    """The labels of a batch of the corpus as numbers, also of one without such columns.

    Of a task of classes alone (rows,) int32, the index of the class and -1 for none; of any other
    (rows, E) float32, the targets' columns side by side, NaN where a label is unknown.
    """
    parts = []
    for target in task.targets:
        name, kind = column_of(task, target), _of(target)
        column = (
            batch.column(name)
            if name in batch.schema.names
            else pa.nulls(batch.num_rows, kind.CORPUS_TYPE)
        )
        parts.append(kind.encoded(column, target))
    labels: NDArray[Any] = np.concatenate(parts, axis=1)
    if task.kind == CLASSES:
        labels = np.nan_to_num(labels[:, 0], nan=UNKNOWN).astype(np.int32)
    return labels


def _of(target: Target) -> Any:
    return part(target.kind, "labels")
