"""The deterministic figures of the evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate.bootstrap import LEVEL, Resampled, interval, ratio
from components.evaluate.exported_manifest import Manifest
from components.evaluate.tested_models import (
    ALONE,
    FLOAT32_OF,
    STUDENT_FLOAT32,
    TEACHER_INT8,
    TFIDF,
)
from decant.figures.figure_set import Interval
from decant.figures.quality_figures import (
    Controls,
    DataFigures,
    Difference,
    ExportedFigures,
    MajorityFigures,
    Method,
    QualityFigures,
    StudentFigures,
    TeacherFigures,
    TfidfFigures,
)
from decant.figures.target_figures import (
    AloneFigures,
    ConstantAnswer,
    FittedControl,
    TargetDifference,
    TargetFigures,
)
from decant.tasks.calibration import RELIABILITY_BINS
from decant.tasks.control import TfidfControl, method
from decant.tasks.quality import Measured, figures_class, missed_classes
from decant.tasks.scores import weighted
from decant.tasks.task import Task

Tested = Mapping[str, Measured]


@dataclass(frozen=True, kw_only=True)
class Constant:
    """The best constant answers, by target: their quality on the test rows, and what they are."""

    tested: Tested
    answers: Mapping[str, str]


def quality_figures(
    task: Task,
    tested: Mapping[str, Tested],
    drawn: Mapping[str, Resampled],
    *,
    manifests: Mapping[str, Manifest],
    control: TfidfControl,
    constant: Constant,
    alone: Mapping[str, Tested],
    data: DataFigures,
    samples: int,
    seed: int,
) -> QualityFigures:
    """Deterministic figures of all models.

    Args:
        tested: per model, by target.
        drawn: per model, its scores over the resamples.
        manifests: of the exported models.
        alone: per `alone/TARGET`, by target.
        samples: of the paired bootstrap.
    """
    exported = {
        name: ExportedFigures(
            **_model(name, task, tested, drawn),
            **dict(manifest),
            label_agreement_with_float32=_agreement(tested, name, FLOAT32_OF.get(name, "")),
        )
        for name, manifest in manifests.items()
    }
    teacher, student = exported["teacher"], exported["student"]
    retained = ratio(drawn["student"].score, drawn["teacher"].score)
    return QualityFigures(
        teacher=TeacherFigures(**dict(teacher), encoder=manifests["teacher"].encoder),
        student=StudentFigures(
            **dict(student),
            retention=student.score / teacher.score if teacher.score > 0 else None,
            retention_interval=interval(retained),
            missed_classes=missed_classes(tested["student"], tested["teacher"]),
        ),
        student_float32=exported.get(STUDENT_FLOAT32),
        controls=Controls(
            undistilled=exported["undistilled"],
            tfidf=_tfidf(task, tested, drawn, control),
            majority=_majority(task, constant),
            teacher_int8=exported.get(TEACHER_INT8),
            alone=_alone(tested["student"], alone, drawn) or None,
        ),
        differences={
            f"student_minus_{other}": _difference(task, tested, drawn, other)
            for other in tested
            if other != "student"
        },
        method=Method(
            bootstrap_samples=samples,
            interval_level=LEVEL,
            ece_bins=RELIABILITY_BINS,
            seed=seed,
        ),
        data=data,
    )


def score_of(task: Task, tested: Tested) -> float:
    """The only target's metric, or the weighted mean of the targets'."""
    return weighted(task, {name: one.score for name, one in tested.items()})


def _model(
    name: str, task: Task, tested: Mapping[str, Tested], drawn: Mapping[str, Resampled]
) -> dict[str, Any]:
    """Attributes of ModelFigures."""
    found = tested[name]
    if task.is_classes_alone:
        (only,) = found.values()
        bounds = _interval(drawn[name].score)
        return {**only.quality.figures, "accuracy_interval": bounds}
    return {
        "score": score_of(task, found),
        "score_interval": _interval(drawn[name].score),
        "targets": {
            target.name: _target(name, target.name, tested, drawn) for target in task.targets
        },
    }


def _target(
    name: str, target: str, tested: Mapping[str, Tested], drawn: Mapping[str, Resampled]
) -> TargetFigures:
    one = tested[name][target]
    scores = drawn[name].targets[target]
    kept: dict[str, Any] = {}
    if name == "student" and (whole := tested["teacher"][target].score) > 0:
        of_teacher = drawn["teacher"].targets[target]
        kept = {
            "retention": one.score / whole,
            "retention_interval": interval(ratio(scores, of_teacher)),
        }
    return figures_class(one.target)(
        score=one.score,
        score_interval=_interval(scores),
        rows=one.quality.rows,
        **kept,
        **one.quality.figures,
    )


def _tfidf(
    task: Task,
    tested: Mapping[str, Tested],
    drawn: Mapping[str, Resampled],
    control: TfidfControl,
) -> TfidfFigures:
    fitted = control.fitted
    if task.is_classes_alone:
        (only,) = fitted.values()
        chosen: dict[str, Any] = {"c": only.c, "validation_accuracy": only.validation_score}
    else:
        chosen = {
            "fitted": {
                target.name: FittedControl(
                    method=method(target),
                    c=fitted[target.name].c,
                    validation_score=float(np.nan_to_num(fitted[target.name].validation_score)),
                )
                for target in task.targets
            }
        }
    return TfidfFigures(
        **_model(TFIDF, task, tested, drawn),
        features=control.features,
        unspaced_share=control.unspaced_share or None,
        **chosen,
    )


def _majority(task: Task, constant: Constant) -> MajorityFigures:
    score = score_of(task, constant.tested)
    if task.is_classes_alone:
        (answer,) = constant.answers.values()
        return MajorityFigures(accuracy=score, label=answer)
    return MajorityFigures(
        score=score,
        targets={
            name: ConstantAnswer(score=one.score, answer=constant.answers[name])
            for name, one in constant.tested.items()
        },
    )


def _alone(
    student: Tested, alone: Mapping[str, Tested], drawn: Mapping[str, Resampled]
) -> dict[str, AloneFigures]:
    """By target, the student that was trained for it alone."""
    found = {}
    for role, tested in alone.items():
        name = role.removeprefix(f"{ALONE}/")
        together, apart = (drawn[model].targets[name] for model in ("student", role))
        found[name] = AloneFigures(
            score=tested[name].score,
            score_interval=_interval(apart),
            difference=student[name].score - tested[name].score,
            difference_interval=_interval(together - apart),
        )
    return found


def _difference(
    task: Task, tested: Mapping[str, Tested], drawn: Mapping[str, Resampled], other: str
) -> Difference:
    """Of the student and another model."""
    difference = score_of(task, tested["student"]) - score_of(task, tested[other])
    apart = drawn["student"].score - drawn[other].score
    targets = {
        name: TargetDifference(
            score=one.score - tested[other][name].score,
            interval=_interval(drawn["student"].targets[name] - drawn[other].targets[name]),
        )
        for name, one in tested["student"].items()
    }
    return Difference(
        **{"accuracy" if task.is_classes_alone else "score": difference},
        interval=_interval(apart),
        targets=targets if len(targets) > 1 else None,
    )


def _agreement(tested: Mapping[str, Tested], name: str, other: str) -> float | None:
    """The mean over the targets of the share of equal answers; None without the other model."""
    if other not in tested:
        return None
    shares = [
        one.quality.agreement(tested[other][target].quality) for target, one in tested[name].items()
    ]
    return float(np.mean(shares)) if len(shares) > 1 else float(shares[0])


def _interval(values: NDArray[np.float64]) -> Interval:
    """Of scores and their differences, which are always defined."""
    bounds = interval(values)
    assert bounds is not None
    return bounds
