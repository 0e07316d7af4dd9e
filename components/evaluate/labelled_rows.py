"""Rows of the corpus with their labels as numbers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.evaluate.tested_models import listed
from decant.data.corpus import Split
from decant.runtime.artifact_files import reading
from decant.runtime.errors import UserError
from decant.tasks.labels import column_of, encode
from decant.tasks.quality import known_rows
from decant.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """A split.

    Attributes:
        table: as in the corpus.
        frame: the same for pandas.
        labels: of all targets, as labels.encode gives them.
        known: per target the rows (rows,) whose label is known.
    """

    table: pa.Table
    frame: pd.DataFrame
    labels: NDArray[Any]
    known: dict[str, NDArray[np.bool_]]

    @property
    def texts(self) -> list[str]:
        """Of the rows."""
        return list(self.frame["text"])


def read_labelled(corpus: Path, split: Split, task: Task) -> LabelledRows:
    """A split with labels.

    Raises UserError where it is empty, has no row with a label of a target, or has a label that is
    not one of the task's.
    """
    file = corpus / f"{split}.parquet"
    with reading(file):
        table = pq.read_table(file)
    if not table.num_rows:
        raise UserError(
            f"{file} has no rows",
            code="split-empty",
            hint=f"give ingest a {split} share above 0, or such a file",
        )
    labels = np.concatenate([encode(task, batch) for batch in table.to_batches()])
    known = known_rows(task, labels)
    for target in task.targets:
        column = table.column(column_of(task, target))
        _check_known(file, table, column, known[target.name], listed(target.outputs))
        if not known[target.name].any():
            raise UserError(
                f"{file} has no row with a label of '{target.name}'",
                code="split-empty",
                hint="give ingest more rows with such a label, or leave the target out",
            )
    return LabelledRows(table=table, frame=table.to_pandas(), labels=labels, known=known)


def _check_known(
    file: Path, table: pa.Table, column: pa.ChunkedArray, known: NDArray[np.bool_], labels: str
) -> None:
    """That a label which is not missing is known."""
    is_given = column.is_valid().to_numpy()
    unknown = np.flatnonzero(is_given & ~known)
    if len(unknown):
        row = int(unknown[0])
        raise UserError(
            f"{file}, row {row} ({table.column('row_id')[row].as_py()}): label "
            f"'{column[row].as_py()}' is not one of the models' labels: {labels}",
            code="labels-mismatch",
            hint="run the steps from finetune on again: models and corpus come from different data",
        )
