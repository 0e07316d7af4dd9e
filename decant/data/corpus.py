"""The corpus artifact: checked text in four splits, and what the task is.

schema.json           task, labels in their fixed order, names of the source's columns
train.parquet         row_id, text, label, group   labelled, within the label budget
validation.parquet    the same columns
test.parquet          the same columns
unlabelled.parquet    row_id, text, group          the transfer set (labels withheld or absent)
rejected.parquet      source, row, reason, text    every rejected row
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow.parquet as pq

from decant.runtime.artifacts import read_json, write_json

Split = Literal["train", "validation", "test", "unlabelled"]
LABELLED_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SPLITS: tuple[Split, ...] = (*LABELLED_SPLITS, "unlabelled")


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What the steps need to know of the task. They read it from here and assume nothing.

    Attributes:
        task: the kind of task; it decides losses and metrics.
        labels: the classes; a label's position here is its class index everywhere.
        text_column, label_column, group_column: the names in the source, for reports.
    """

    task: Literal["single_label"] = "single_label"
    labels: tuple[str, ...]
    text_column: str
    label_column: str
    group_column: str | None = None


def read_schema(folder: Path) -> Schema:
    """Also works on a tokens folder, which carries a copy."""
    fields = read_json(folder / "schema.json")
    return Schema(**{**fields, "labels": tuple(fields["labels"])})


def write_schema(folder: Path, schema: Schema) -> None:
    """Write the corpus's schema.json."""
    write_json(folder / "schema.json", dataclasses.asdict(schema))


def read_split(folder: Path, split: str) -> pd.DataFrame:
    """A split as a data frame; `text` and `label` are strings, rows in the corpus's order."""
    return pd.read_parquet(folder / f"{split}.parquet")


def split_rows(folder: Path, split: str) -> int:
    """The number of rows of a split, without reading them."""
    return int(pq.ParquetFile(folder / f"{split}.parquet").metadata.num_rows)
