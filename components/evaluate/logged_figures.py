"""Figures for the log, for MLflow and for KFP."""

from collections.abc import Iterator

from components.evaluate.tested_models import BERT_BASE
from decant.figures.quality_figures import QualityFigures
from decant.figures.target_figures import TargetFigures
from decant.figures.timing_figures import TimingFigures
from decant.runtime.reporter import Reporter


def log_quality(figures: QualityFigures, reporter: Reporter) -> None:
    """Scores and calibration.

    The same names for every task (accuracy where it is the score), by which runs of any kind
    compare, then the kind's own of student and teacher, such as student_pearson. What belongs to
    one of several targets ends in its name: student_micro_f1_TARGET.
    """
    student, controls = figures.student, figures.controls
    name = "accuracy" if figures.data.targets is None else "score"
    reporter.metric(f"student_{name}", student.score)
    reporter.metric(f"teacher_{name}", figures.teacher.score)
    if student.retention is not None:
        reporter.metric("retention", student.retention)
    reporter.metric(f"tfidf_{name}", controls.tfidf.score)
    reporter.metric(f"undistilled_{name}", controls.undistilled.score)
    reporter.metric(f"majority_{name}", controls.majority.score)
    _log_of_each_target(figures, reporter)
    if len(figures.data.targets or ()) > 1:
        _log_scores_by_target(figures, reporter)
    if student.missed_classes is not None:
        reporter.metric("student_missed_classes", len(student.missed_classes))


def _log_of_each_target(figures: QualityFigures, reporter: Reporter) -> None:
    """The kinds' own figures; of classes judged by accuracy macro-F1, ECE and the worst class."""
    student = figures.student
    found = {"student_macro_f1": student.of_targets("macro_f1"), "ece": student.of_targets("ece")}
    worst = student.of_targets("worst_class")
    found["student_worst_class_recall"] = {name: one.recall for name, one in worst.items()}
    for role, model in (("student", student), ("teacher", figures.teacher)):
        for target, one in (model.targets or {}).items():
            for figure, value in _own_figures(one):
                found.setdefault(f"{role}_{figure}", {})[target] = value
    found.pop("student_ece", None)  # it is `ece` there
    is_several = len(figures.data.targets or ()) > 1
    for key, by_target in found.items():
        for target, value in by_target.items():
            reporter.metric(f"{key}_{target}" if is_several else key, value)


def _log_scores_by_target(figures: QualityFigures, reporter: Reporter) -> None:
    controls = figures.controls
    for target, one in (figures.student.targets or {}).items():
        reporter.metric(f"student_score_{target}", one.score)
        if one.retention is not None:
            reporter.metric(f"retention_{target}", one.retention)
    for role, scored in (
        ("teacher", figures.teacher.targets),
        ("tfidf", controls.tfidf.targets),
        ("undistilled", controls.undistilled.targets),
        ("majority", controls.majority.targets),
        ("alone", controls.alone),
    ):
        for target, found in (scored or {}).items():
            reporter.metric(f"{role}_score_{target}", found.score)


def _own_figures(figures: TargetFigures) -> Iterator[tuple[str, float]]:
    """The numbers that the kind adds."""
    for name in type(figures).model_fields:
        is_shared = name in TargetFigures.model_fields
        if not is_shared and isinstance(value := getattr(figures, name), int | float):
            yield name, value


def log_times(figures: TimingFigures, reporter: Reporter) -> None:
    """Medians of student and teacher, and how much faster the student is."""
    student, teacher = figures.latency_p50_us["student"], figures.latency_p50_us["teacher"]
    for measure, medians, ratios in (
        ("model", (student.model, teacher.model), figures.speedup.model),
        ("end_to_end", (student.end_to_end, teacher.end_to_end), figures.speedup.end_to_end),
    ):
        for name, median in zip(("student", "teacher"), medians, strict=True):
            if median is not None:
                reporter.measure(f"{name}_{measure}_latency_p50_us", median)
        for other in ("teacher", BERT_BASE):
            if (times := ratios.over(other)) is not None:
                reporter.measure(f"{measure}_speedup_vs_{other}", times)
