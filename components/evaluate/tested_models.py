"""The models under test: the exported folders, checked against each other and against the data."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.data.corpus import read_split
from decant.inference.classifier import OnnxClassifier
from decant.runtime.errors import UserError

TEACHER_INT8, STUDENT_FLOAT32, TFIDF = "teacher_int8", "student_float32", "tfidf"
# In the order of the tables. The optional ones exist where export_onnx made them.
ROLES = ("teacher", TEACHER_INT8, "student", STUDENT_FLOAT32, "undistilled")
OPTIONAL = (TEACHER_INT8, STUDENT_FLOAT32)
# A smaller form beside the float32 graph that it was made of.
FLOAT32_OF = {TEACHER_INT8: "teacher", "student": STUDENT_FLOAT32}


def open_models(folder: Path, *, threads: int) -> dict[str, OnnxClassifier]:
    """The exported models by role; raises UserError when one is missing or their labels differ."""
    models: dict[str, OnnxClassifier] = {}
    for role in ROLES:
        if role in OPTIONAL and not (folder / role).exists():
            continue
        try:
            models[role] = OnnxClassifier(folder / role, threads=threads)
        except FileNotFoundError as error:
            raise UserError(
                str(error), code="artifact-missing", hint="run export_onnx again"
            ) from None
    for role, model in models.items():
        if model.labels != models["teacher"].labels:
            raise UserError(
                f"{folder / role} has the labels {_listed(model.labels)}, "
                f"its teacher has {_listed(models['teacher'].labels)}",
                code="labels-mismatch",
                hint="run the steps from finetune on again: the models come from different data",
            )
    return models


def read_test_split(corpus: Path, labels: tuple[str, ...]) -> pd.DataFrame:
    """The test split; raises UserError when it is empty or has a label of no model."""
    test = read_split(corpus, "test")
    if test.empty:
        raise UserError(
            f"{corpus / 'test.parquet'} has no rows: there is nothing to evaluate on",
            code="split-empty",
            hint="give ingest a test split or a test share above 0",
        )
    known = test["label"].isin(labels).to_numpy()
    if not known.all():
        row = int(np.argmin(known))
        raise UserError(
            f"{corpus / 'test.parquet'}, row {row} ({test['row_id'].iloc[row]}): label "
            f"'{test['label'].iloc[row]}' is not one of the models' labels: {_listed(labels)}",
            code="labels-mismatch",
            hint="run the steps from finetune on again: models and corpus come from different data",
        )
    return test


def class_indices(values: pd.Series, labels: tuple[str, ...]) -> NDArray[np.int64]:
    """Label strings as class indices, shape (rows,)."""
    position: Mapping[str, int] = {label: index for index, label in enumerate(labels)}
    return np.array([position[value] for value in values], dtype=np.int64)


def _listed(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:10])
    return shown if len(labels) <= 10 else f"{shown} and {len(labels) - 10} more"
