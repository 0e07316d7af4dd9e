"""The corpus artifact: checked text in four splits, and what the task is.

schema.json           the task: its targets and their outputs in a fixed order; columns' names
train.parquet         row_id, text, label, group   labelled, within the label budget
validation.parquet    the same columns
test.parquet          the same columns
unlabelled.parquet    row_id, text, group          the transfer set (labels withheld or absent)
rejected.parquet      source, row, reason, text    every rejected row

Of several targets each has a column of its own in place of `label`: `label.TARGET`, null where it
is unknown. decant/tasks/labels.py has the types.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow.parquet as pq

from decant.runtime.artifact_files import fields_of, read_object, reading
from decant.runtime.artifacts import write_json
from decant.tasks.task import Task

if TYPE_CHECKING:
    import pandas as pd

Split = Literal["train", "validation", "test", "unlabelled"]
LABELLED_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SPLITS: tuple[Split, ...] = (*LABELLED_SPLITS, "unlabelled")


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What the steps need to know of the data. They read it from here and assume nothing.

    Attributes:
        task: the targets; an output's position there is its place among the logits everywhere.
        text_column, group_column: the names in the source, for reports.
    """

    task: Task
    text_column: str
    group_column: str | None = None


def read_schema(folder: Path) -> Schema:
    """Also works on a tokens folder, which carries a copy. Raises UserError when it is damaged."""
    file = folder / "schema.json"
    fields = read_object(file)
    with reading(file):
        if "targets" in fields:
            task = Task.from_json(fields["targets"])
        else:
            task = Task.of_classes(fields["labels"], column=fields["label_column"])
        schema = {
            "task": {"targets": task.as_json()},
            "text_column": fields["text_column"],
            "group_column": fields["group_column"],
        }
    return fields_of(Schema, schema, file)


def write_schema(folder: Path, schema: Schema) -> None:
    """Write the corpus's schema.json: classes alone in the form that they always had."""
    task = schema.task
    columns = {"text_column": schema.text_column, "group_column": schema.group_column}
    (first, *_) = task.targets
    classes = Task.of_classes(first.outputs, column=first.column)
    if task == classes:
        what: dict[str, Any] = {"labels": first.outputs, "label_column": first.column}
    else:
        what = {"targets": task.as_json()}
    write_json(folder / "schema.json", {"task": task.kind, **what, **columns})


def read_split(folder: Path, split: str) -> "pd.DataFrame":
    """A split as a data frame; `text` and `label` are strings, rows in the corpus's order."""
    import pandas as pd  # slow to import, and few of this module's readers need it

    file = folder / f"{split}.parquet"
    with reading(file):
        return pd.read_parquet(file)


def split_rows(folder: Path, split: str) -> int:
    """The number of rows of a split, without reading them."""
    file = folder / f"{split}.parquet"
    with reading(file):
        return int(pq.ParquetFile(file).metadata.num_rows)
