"""The measured figures of one model, and the file of all of them: study.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.study.study_plan import DEFAULT
from decant.inference.latency import Speedup

STUDENT, UNDISTILLED, TEACHER, TEACHER_INT8 = "student", "undistilled", "teacher", "teacher_int8"
TFIDF, MODEL2VEC, MAJORITY = "tfidf", "model2vec", "majority"
# The roles of exported folders that a study measures; other folders are ignored.
ROLES = (STUDENT, UNDISTILLED, TEACHER, TEACHER_INT8)
# Controls that depend on the data alone: no variant, no seed.
DATA_CONTROLS = (TFIDF, MODEL2VEC, MAJORITY)

# Where the steps measure what a student costs: (step, measure, column of study.csv).
COSTS = (
    ("finetune", "training_seconds", "finetune_seconds"),
    ("distill", "augmentation_seconds", "augmentation_seconds"),
    ("distill", "labelling_seconds", "labelling_seconds"),
    ("distill", "student_training_seconds", "student_training_seconds"),
    ("distill", "undistilled_training_seconds", "undistilled_training_seconds"),
)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Median microseconds per text (batch 1), and how many times less than the default's teacher.

    `model_us` is without tokenization; None where the two cannot be separated.
    """

    model_us: float | None
    end_to_end_us: float
    faster_model: Speedup | None
    faster_end_to_end: Speedup | None

    @property
    def shown_us(self) -> float:
        """Of the model alone; with tokenization where there is no such figure."""
        return self.end_to_end_us if self.model_us is None else self.model_us

    @property
    def faster(self) -> Speedup | None:
        """By the same measure as `shown_us`."""
        return self.faster_end_to_end if self.model_us is None else self.faster_model


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model on one data set.

    Attributes:
        variant: empty for a control that depends on the data alone.
        seed: None for the same.
        model: an exported role, or the name of such a control.
        validation, test: which rows (rows,) it gets right, in the corpus's order.
        form: of the graph, such as float32 or static_int8.
        seconds: by the columns of COSTS, as far as they were measured; labels that all came from
            the cache have none.
    """

    data: str
    variant: str
    seed: int | None
    model: str
    validation: NDArray[np.bool_]
    test: NDArray[np.bool_]
    architecture: str = ""
    parameters: int | None = None
    size_bytes: int | None = None
    form: str = ""
    folder: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    timing: Timing | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The name of the same model on every data set and seed: (variant, model)."""
        return self.variant, self.model


def write_results(folder: Path, results: Sequence[Result], factors: Mapping[str, str]) -> None:
    """study.csv, a row per result, and rows-DATA.parquet: right or wrong per test row and model.

    The latter has a column VARIANT/MODEL/SEED per model, or with the control's name.
    """
    teachers = teacher_accuracies(results)
    pd.DataFrame([_row(result, teachers, factors) for result in results]).to_csv(
        folder / "study.csv", index=False, float_format="%.6g"
    )
    for data in dict.fromkeys(result.data for result in results):
        columns = {column_name(r): r.test for r in results if r.data == data}
        pd.DataFrame(columns).to_parquet(folder / f"rows-{data}.parquet", index=False)


def column_name(result: Result) -> str:
    parts = (result.variant, result.model, "" if result.seed is None else str(result.seed))
    return "/".join(part for part in parts if part)


def teacher_accuracies(results: Sequence[Result]) -> dict[tuple[str, int | None], float]:
    """Test accuracy of the default's teacher per (data set, seed): the base of retention."""
    return {
        (result.data, result.seed): float(result.test.mean())
        for result in results
        if result.key == (DEFAULT, TEACHER)
    }


def _row(
    result: Result,
    teachers: Mapping[tuple[str, int | None], float],
    factors: Mapping[str, str],
) -> dict[str, object]:
    accuracy, timing = float(result.test.mean()), result.timing
    teacher = teachers.get((result.data, result.seed))
    faster = timing.faster if timing else None
    return {
        "data": result.data,
        "variant": result.variant,
        "factor": factors.get(result.variant, "control"),  # of the data alone
        "model": result.model,
        "seed": result.seed,
        "validation_accuracy": float(result.validation.mean()),
        "test_accuracy": accuracy,
        "test_rows": len(result.test),
        "retention": accuracy / teacher if teacher else None,
        "model_latency_us": timing.model_us if timing else None,
        "end_to_end_latency_us": timing.end_to_end_us if timing else None,
        "times_faster_than_teacher": faster.median if faster else None,
        "size_bytes": result.size_bytes,
        "parameters": result.parameters,
        **{column: result.seconds.get(column) for _, _, column in COSTS},
        "architecture": result.architecture,
        "form": result.form,
        "folder": result.folder,
    }
