"""The gate: thresholds from params.yaml, and the checks of a set of figures against them."""

from collections.abc import Iterator, Mapping

from components.evaluate.contract import Gate
from decant.figures.figure_text import one_line
from decant.figures.gate_check import Check, above, at_least, at_most, no_class_lost
from decant.figures.quality_figures import ClassRecall, QualityFigures, StudentFigures
from decant.figures.timing_figures import TimingFigures
from decant.runtime.errors import UserError
from decant.tasks.control import control_title
from decant.tasks.quality import figures_class
from decant.tasks.task import Task

# Thresholds of figures that only some kinds have: for each target that has it.
_OF_KINDS = {
    "min_student_accuracy": "accuracy",
    "min_student_macro_f1": "macro_f1",
    "min_student_worst_class_recall": "worst_class",
    "max_ece": "ece",
}


def check_applies(gate: Gate, task: Task) -> None:
    """Raises UserError where a threshold is switched on that no target has a figure for."""
    for name, figure in _OF_KINDS.items():
        has_figure = any(figure in figures_class(one).model_fields for one in task.targets)
        if getattr(gate, name) is not None and not has_figure:
            kinds = ", ".join(dict.fromkeys(one.kind for one in task.targets))
            raise UserError(
                f"evaluate.gate.{name} is set, but a task of the kind {kinds} has no such figure",
                code="parameter-conflict",
                hint="set it to null, and min_student_score for the score of the task",
            )
    names = [target.name for target in task.targets]
    for name in gate.targets:
        if name not in names:
            raise UserError(
                f"evaluate.gate.targets has '{name}', which is not a target",
                code="parameter-unknown",
                hint=f"targets: {', '.join(names)}",
            )


def gate_checks(
    gate: Gate, quality: QualityFigures, timing: TimingFigures, task: Task
) -> list[Check]:
    """A check per threshold that is switched on."""
    student = quality.student
    return [
        *_lower_limits(gate, quality, timing),
        *_of_targets(gate, quality),
        *_upper_limits(gate, student, timing),
        *_above_controls(gate, quality, task, required=True),
        *no_class_lost(
            _lost_classes(student),
            gate.must_answer_class_from_rows,
            names=("the teacher", "the student"),
        ),
    ]


def unbeaten_controls(gate: Gate, quality: QualityFigures, task: Task) -> list[str]:
    """Sentences on controls that the student shall not have to beat, and does not."""
    checks = _above_controls(gate, quality, task, required=False)
    return [f"{check.reason}; the gate does not demand it" for check in checks if not check.passed]


def _above_controls(
    gate: Gate, quality: QualityFigures, task: Task, *, required: bool
) -> list[Check]:
    """Of the controls that the gate names (`required`), or of the others."""
    student, controls, score = quality.student, quality.controls, quality.data.score
    rivals = (
        (control_title(task), controls.tfidf, gate.must_beat_tfidf),
        ("the undistilled student", controls.undistilled, gate.must_beat_undistilled),
    )
    return [
        above(f"student {score.title}", student.score, rival.score, whose=name)
        for name, rival, demanded in rivals
        if demanded == required
    ]


def _lower_limits(gate: Gate, quality: QualityFigures, timing: TimingFigures) -> Iterator[Check]:
    student, title = quality.student, quality.data.score.title
    limits = [
        (f"student {title}", student.score, gate.min_student_score),
        *_named("student accuracy", student.of_targets("accuracy"), gate.min_student_accuracy),
        (f"retention (student / teacher {title})", student.retention, gate.min_retention),
        *_named("student macro-F1", student.of_targets("macro_f1"), gate.min_student_macro_f1),
        *_worst_classes(student, gate.min_student_worst_class_recall),
        (
            "end-to-end speedup over the teacher",
            timing.speedup.end_to_end.vs_teacher,
            gate.min_speedup_end_to_end_vs_teacher,
        ),
    ]
    return (at_least(name, value, limit) for name, value, limit in limits if limit is not None)


def _upper_limits(gate: Gate, student: StudentFigures, timing: TimingFigures) -> Iterator[Check]:
    limits = [
        *_named("student ECE", student.of_targets("ece"), gate.max_ece),
        (
            "student end-to-end latency p50 in us",
            timing.latency_p50_us["student"].end_to_end,
            gate.max_latency_p50_us,
        ),
        ("student size in bytes", student.size_bytes, gate.max_size_bytes),
    ]
    return (at_most(name, value, limit) for name, value, limit in limits if limit is not None)


def _of_targets(gate: Gate, quality: QualityFigures) -> Iterator[Check]:
    """Each target's own thresholds."""
    for name, own in gate.targets.items():
        found = (quality.student.targets or {}).get(name)
        score, title = quality.student.score, quality.data.score.title
        retention = quality.student.retention
        if found is not None:  # of classes alone the target's figures are the student's
            score, title = found.score, quality.data.score_of(name).title
            retention = found.retention
        of = f"of '{one_line(name)}'"
        if own.min_score is not None:
            yield at_least(f"student {title} {of}", score, own.min_score)
        if own.min_retention is not None:
            what = f"retention (student / teacher {title}) {of}"
            yield at_least(what, retention, own.min_retention)


Limit = tuple[str, float | None, float | None]


def _named(name: str, values: Mapping[str, float], limit: float | None) -> list[Limit]:
    """The limit for each target's value; of an only target without its name."""
    several = len(values) > 1
    return [
        (f"{name} of '{one_line(target)}'" if several else name, value, limit)
        for target, value in values.items()
    ] or [(name, None, limit)]


def _worst_classes(student: StudentFigures, limit: float | None) -> list[Limit]:
    found = student.of_targets("worst_class").values()
    limits: list[Limit] = [(_of_worst_class(worst), worst.recall, limit) for worst in found]
    return limits or [("student recall of its worst class", None, limit)]


def _of_worst_class(worst: ClassRecall) -> str:
    return f"student recall of its worst class, '{one_line(worst.label)}',"


def _lost_classes(student: StudentFigures) -> dict[str, int]:
    """Test rows of the classes of which the teacher has rows right and the student none."""
    missed = student.missed_classes or ()
    return {
        f"{one.target}: {one.label}" if one.target else one.label: one.test_rows
        for one in missed
        if one.teacher_right
    }
