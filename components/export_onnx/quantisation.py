"""Put the form of teacher and student that is taken into its folder, with the reasons."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.export_onnx.choice import fastest, reason, smallest
from components.export_onnx.contract import Limits, Quantisation, StudentForms, TeacherForms
from components.export_onnx.folder import Facts, role_of, write_manifest
from components.export_onnx.forms import FLOAT32
from components.export_onnx.refused import Refused
from components.export_onnx.trials import (
    Figures,
    Made,
    Material,
    Trial,
    Trials,
)
from decant.inference.model_files import GRAPH, TOKENIZER
from decant.runtime.reporter import Reporter
from decant.tasks.metric import Metric
from decant.tasks.spec import task_metric


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A model's folder with its float32 graph and tokenizer, and what to try other forms on."""

    folder: Path
    facts: Facts
    material: Material


def quantise_teacher(teacher: Exported, plan: Quantisation, reporter: Reporter) -> None:
    """Write the float32 teacher's manifest, and teacher_int8 beside it where a form is accepted."""
    if not plan.teacher.forms:
        _finish(teacher.folder, teacher.facts, FLOAT32, reporter)
        return
    with tempfile.TemporaryDirectory() as work:
        trials = Trials(teacher.folder / GRAPH, teacher.material, Path(work))
        tried = _try_all("teacher", trials, plan.teacher, plan.max_slowdown, reporter)
        won = smallest(tried)
        record = _chosen("teacher", trials, tried, plan.teacher, won, reporter)
        _finish(teacher.folder, teacher.facts, FLOAT32, reporter, quantisation=record)
        if won:
            folder = _copy_of(teacher.folder, "teacher_int8")
            _take(folder, teacher.facts, won, trials, reporter)


def quantise_students(
    student: Exported, controls: Sequence[Exported], plan: Quantisation, reporter: Reporter
) -> None:
    """Give the student the form that won and keep its float32; the controls get the same form.

    A control is not tested: it shall differ from the student only in its training. Where it
    cannot have the form, it stays float32.
    """
    if not plan.student.forms:
        for model in (student, *controls):
            _finish(model.folder, model.facts, FLOAT32, reporter)
        return
    with tempfile.TemporaryDirectory() as work:
        trials = Trials(student.folder / GRAPH, student.material, Path(work))
        tried = _try_all("student", trials, plan.student, plan.max_slowdown, reporter)
        won = fastest(tried, plan.student)
        record = _chosen("student", trials, tried, plan.student, won, reporter)
        if won:
            float32 = _copy_of(student.folder, "student_float32")
            _finish(float32, student.facts, FLOAT32, reporter)
            _take(student.folder, student.facts, won, trials, reporter, quantisation=record)
        else:
            _finish(student.folder, student.facts, FLOAT32, reporter, quantisation=record)
    for control in controls:
        if won:
            _follow(control, won.form, reporter)
        else:
            _finish(control.folder, control.facts, FLOAT32, reporter)


def _follow(control: Exported, form: str, reporter: Reporter) -> None:
    """Give a control the student's form."""
    with tempfile.TemporaryDirectory() as work:
        trials = Trials(control.folder / GRAPH, control.material, Path(work))
        try:
            made = trials.make(form)
        except Refused as refused:
            reporter.warning(f"the control stays {FLOAT32}: {refused} {refused.detail}")
            _finish(control.folder, control.facts, FLOAT32, reporter)
        else:
            _take(control.folder, control.facts, made, trials, reporter)


def _try_all(
    role: str,
    trials: Trials,
    forms: StudentForms | TeacherForms,
    max_slowdown: float,
    reporter: Reporter,
) -> list[Trial]:
    tried = []
    for form in dict.fromkeys(forms.forms):
        reporter.message(f"{role} as {form}")
        with reporter.activity(f"trying the {role} as {form}"):
            trial = trials.attempt(form, forms, max_slowdown=max_slowdown, log=reporter.message)
        if trial.times_as_slow is not None:
            reporter.measure(f"{role}_{form}_times_as_slow", trial.times_as_slow)
        tried.append(trial)
    return tried


def _chosen(
    role: str,
    trials: Trials,
    tried: Sequence[Trial],
    limits: Limits,
    won: Made | None,
    reporter: Reporter,
) -> dict[str, object]:
    """Show what was tried and what is taken; returns the record for the manifest."""
    reasons = [reason(trial, won) for trial in tried]
    metric = task_metric(trials.task)
    rows = [(FLOAT32, *_cells(trials.float32, metric), "-", "" if won else "taken")]
    for trial, why in zip(tried, reasons, strict=True):
        cells = _cells(trial.made.figures, metric) if trial.made else ("-", "-", "-")
        slower = trial.times_as_slow
        rows.append((trial.form, *cells, "-" if slower is None else f"{1 / slower:.2f}", why))
    headers = ("form", "graph", metric.title, "same labels", "times as fast", "verdict")
    reporter.table(f"forms of the {role}", headers, rows)
    return trials.record(tried, limits, won, reasons)


def _cells(figures: Figures, metric: Metric) -> tuple[str, str, str]:
    return (
        f"{figures.size_bytes / 1e6:.2f} MB",
        f"{figures.score:.2%}" if metric.is_share else f"{figures.score:.4f}",
        f"{figures.label_agreement:.2%}",
    )


def _copy_of(folder: Path, role: str) -> Path:
    """The folder of another role with the same graph and tokenizer."""
    copy = folder.with_name(role)
    copy.mkdir()
    for name in (GRAPH, TOKENIZER):
        shutil.copyfile(folder / name, copy / name)
    return copy


def _take(
    folder: Path, facts: Facts, made: Made, trials: Trials, reporter: Reporter, **more: object
) -> None:
    """Replace the folder's graph by a form."""
    shutil.copyfile(made.graph, folder / GRAPH)
    reporter.metric(f"{role_of(folder)}_label_agreement", made.figures.label_agreement)
    against = trials.against_float32(made)
    _finish(folder, facts, made.form, reporter, against_float32=against, **more)


def _finish(folder: Path, facts: Facts, form: str, reporter: Reporter, **more: object) -> None:
    size = write_manifest(folder, facts, form, **more)
    reporter.metric(f"{role_of(folder)}_size_bytes", size)
