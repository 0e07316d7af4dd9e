"""The measured figures of one model, and the files of all of them: study.csv, targets.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.study.metrics import ACCURACY, SCORE, metric_names, short_name
from benchmarks.study.study_plan import DEFAULT
from components.evaluate.figures import score_of
from components.evaluate.tested_models import ALONE
from decant.inference.latency import Speedup
from decant.tasks.quality import Measured
from decant.tasks.task import Task

STUDENT, UNDISTILLED, TEACHER, TEACHER_INT8 = "student", "undistilled", "teacher", "teacher_int8"
# Of classes the constant answer is the commonest one, and has its own name.
TFIDF, MODEL2VEC, MAJORITY, CONSTANT = "tfidf", "model2vec", "majority", "constant"
# The roles of exported folders that a study measures; other folders are ignored.
ROLES = (STUDENT, UNDISTILLED, TEACHER, TEACHER_INT8)
# Controls that depend on the data alone: no variant, no seed.
DATA_CONTROLS = (TFIDF, MODEL2VEC, MAJORITY, CONSTANT)

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
class Scored:
    """A model on the rows of a split.

    Attributes:
        targets: by name, with the model's own decisions, such as thresholds.
        known: by name the rows (rows,) whose label is known; only these count for a target.
    """

    targets: Mapping[str, Measured]
    known: Mapping[str, NDArray[np.bool_]]

    @property
    def task(self) -> Task:
        """Its targets."""
        return Task(tuple(one.target for one in self.targets.values()))

    @cached_property
    def score(self) -> float:
        """The only target's metric, or the weighted mean of the targets'."""
        return score_of(self.task, self.targets)

    @property
    def rows(self) -> int:
        """Of the split."""
        return len(next(iter(self.known.values())))

    @property
    def right(self) -> NDArray[np.bool_] | None:
        """(rows,) where the score is the share of right rows."""
        found = [one.quality.right for one in self.targets.values()]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model on one data set.

    Attributes:
        variant: empty for a control that depends on the data alone.
        seed: None for the same.
        model: an exported role, or the name of such a control.
        validation, test: how well it does there.
        form: of the graph, such as float32 or static_int8.
        logits: file with its logits on both splits, arrays `validation` and `test` (rows, outputs).
        seconds: by the columns of COSTS, as far as they were measured; labels that all came from
            the cache have none.
    """

    data: str
    variant: str
    seed: int | None
    model: str
    validation: Scored
    test: Scored
    architecture: str = ""
    parameters: int | None = None
    size_bytes: int | None = None
    form: str = ""
    folder: str = ""
    logits: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    timing: Timing | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The name of the same model on every data set and seed: (variant, model)."""
        return self.variant, self.model

    @property
    def alone(self) -> str | None:
        """The target for which this student was trained alone, where it is such a control."""
        folder, _, target = self.model.partition("/")
        return target if folder == ALONE else None


def write_results(folder: Path, results: Sequence[Result], factors: Mapping[str, str]) -> None:
    """study.csv, a row per result; targets.csv, a row per result and target, where a data set has
    several; and rows-DATA.parquet: right or wrong per test row and model.

    The latter has a column VARIANT/MODEL/SEED per model, or with the control's name. It is there
    where the score is the share of right rows: of other scores the rows have no such part, and
    study.csv names the file of every graph's logits, from which they follow.
    """
    pd.DataFrame(_rows(results, factors)).to_csv(
        folder / "study.csv", index=False, float_format="%.6g"
    )
    if by_target := [row for result in results for row in _target_rows(result)]:
        pd.DataFrame(by_target).to_csv(folder / "targets.csv", index=False, float_format="%.6g")
    for data in dict.fromkeys(result.data for result in results):
        columns = {column_name(r): r.test.right for r in results if r.data == data}
        if all(right is not None for right in columns.values()):
            pd.DataFrame(columns).to_parquet(folder / f"rows-{data}.parquet", index=False)


def column_name(result: Result) -> str:
    parts = (result.variant, result.model, "" if result.seed is None else str(result.seed))
    return "/".join(part for part in parts if part)


def metrics_by_data(results: Sequence[Result]) -> dict[str, str]:
    """Per data set the names of the metrics by which its models are judged."""
    return {result.data: metric_names(result.test.task) for result in results}


def teacher_scores(results: Sequence[Result]) -> dict[tuple[str, int | None], float]:
    """Test score of the default's teacher per (data set, seed): the base of retention."""
    return {
        (result.data, result.seed): result.test.score
        for result in results
        if result.key == (DEFAULT, TEACHER)
    }


def _rows(results: Sequence[Result], factors: Mapping[str, str]) -> list[dict[str, object]]:
    """Of studies that are not of accuracy alone each row also says its metric and its logits."""
    teachers, judged_by = teacher_scores(results), metrics_by_data(results)
    names = {short_name(metrics) for metrics in judged_by.values()}
    column = names.pop() if len(names) == 1 else SCORE
    rows = []
    for result in results:
        row = _row(result, column, teachers, factors)
        if set(judged_by.values()) != {ACCURACY}:
            row |= {"metric": judged_by[result.data], "logits": result.logits}
        rows.append(row)
    return rows


def _row(
    result: Result,
    column: str,
    teachers: Mapping[tuple[str, int | None], float],
    factors: Mapping[str, str],
) -> dict[str, object]:
    score, timing = result.test.score, result.timing
    # What a student for one target reaches is no part of what a teacher of all reaches.
    teacher = None if result.alone else teachers.get((result.data, result.seed))
    faster = timing.faster if timing else None
    return {
        "data": result.data,
        "variant": result.variant,
        "factor": factors.get(result.variant, "control"),  # of the data alone
        "model": result.model,
        "seed": result.seed,
        f"validation_{column}": result.validation.score,
        f"test_{column}": score,
        "test_rows": result.test.rows,
        "retention": score / teacher if teacher and teacher > 0 else None,
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


def _target_rows(result: Result) -> list[dict[str, object]]:
    """None of an only target: study.csv has it. Of a student for one target that one."""
    targets = result.test.targets
    if len(targets) == 1:
        return []
    return [
        {
            "data": result.data,
            "variant": result.variant,
            "model": result.model,
            "seed": result.seed,
            "target": name,
            "metric": one.target.metric,
            "validation_score": result.validation.targets[name].score,
            "test_score": one.score,
            "test_rows": one.quality.rows,
        }
        for name, one in targets.items()
        if result.alone in (None, name)
    ]
