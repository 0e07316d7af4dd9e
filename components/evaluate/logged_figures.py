"""Figures for the log and for MLflow."""

from components.evaluate.tested_models import BERT_BASE
from decant.figures.quality_figures import QualityFigures
from decant.figures.timing_figures import TimingFigures
from decant.runtime.reporter import Reporter


def log_quality(figures: QualityFigures, reporter: Reporter) -> None:
    """Scores and calibration: the same names for every task, accuracy where it is the score."""
    student, controls = figures.student, figures.controls
    name = "accuracy" if figures.data.targets is None else "score"
    reporter.metric(f"student_{name}", student.score)
    reporter.metric(f"teacher_{name}", figures.teacher.score)
    if student.retention is not None:
        reporter.metric("retention", student.retention)
    reporter.metric(f"tfidf_{name}", controls.tfidf.score)
    reporter.metric(f"undistilled_{name}", controls.undistilled.score)
    reporter.metric(f"majority_{name}", controls.majority.score)
    for figure, key in (("macro_f1", "student_macro_f1"), ("ece", "ece")):
        for target, value in student.of_targets(figure).items():
            reporter.metric(f"{key}_{target}" if _is_one_of_several(figures) else key, value)
    for target, one in (student.targets or {}).items():
        if _is_one_of_several(figures):
            reporter.metric(f"student_score_{target}", one.score)
    if student.worst_class is not None:
        reporter.metric("student_worst_class_recall", student.worst_class.recall)
    if student.missed_classes is not None:
        reporter.metric("student_missed_classes", len(student.missed_classes))


def _is_one_of_several(figures: QualityFigures) -> bool:
    return len(figures.data.targets or ()) > 1


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
