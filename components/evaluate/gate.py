"""The gate: thresholds from params.yaml, and the checks of a set of figures against them."""

from components.evaluate.contract import Gate
from decant.figures.figure_text import one_line
from decant.figures.gate_check import Check, above, at_least, at_most, no_class_lost
from decant.figures.quality_figures import ClassRecall, QualityFigures, StudentFigures
from decant.figures.timing_figures import TimingFigures


def gate_checks(gate: Gate, quality: QualityFigures, timing: TimingFigures) -> list[Check]:
    """A check per threshold that is switched on."""
    student, controls = quality.student, quality.controls
    lower_limits = (
        ("student accuracy", student.accuracy, gate.min_student_accuracy),
        ("retention (student / teacher accuracy)", student.retention, gate.min_retention),
        ("student macro-F1", student.macro_f1, gate.min_student_macro_f1),
        (
            _of_worst_class(student.worst_class),
            student.worst_class.recall if student.worst_class else None,
            gate.min_student_worst_class_recall,
        ),
        (
            "end-to-end speedup over the teacher",
            timing.speedup.end_to_end.vs_teacher,
            gate.min_speedup_end_to_end_vs_teacher,
        ),
    )
    upper_limits = (
        ("student ECE", student.ece, gate.max_ece),
        (
            "student end-to-end latency p50 in us",
            timing.latency_p50_us["student"].end_to_end,
            gate.max_latency_p50_us,
        ),
        ("student size in bytes", student.size_bytes, gate.max_size_bytes),
    )
    rivals = (
        ("TF-IDF + logistic regression", controls.tfidf, gate.must_beat_tfidf),
        ("the undistilled student", controls.undistilled, gate.must_beat_undistilled),
    )
    return [
        *(at_least(name, value, limit) for name, value, limit in lower_limits if limit is not None),
        *(at_most(name, value, limit) for name, value, limit in upper_limits if limit is not None),
        *(
            above("student accuracy", student.accuracy, rival.accuracy, whose=name)
            for name, rival, required in rivals
            if required
        ),
        *no_class_lost(
            _lost_classes(student),
            gate.must_answer_class_from_rows,
            names=("the teacher", "the student"),
        ),
    ]


def _of_worst_class(worst: ClassRecall | None) -> str:
    return "student recall of its worst class" + (f", '{one_line(worst.label)}'," if worst else "")


def _lost_classes(student: StudentFigures) -> dict[str, int]:
    """Test rows of the classes of which the teacher has rows right and the student none."""
    missed = student.missed_classes or ()
    return {one.label: one.test_rows for one in missed if one.teacher_right}
