"""Tables of sets of labels: scores per label, errors, where student and teacher differ."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.figures.figure_text import share
from decant.tasks.calibration import RELIABILITY_BINS
from decant.tasks.multi_label.answers import thresholds
from decant.tasks.multi_label.quality import LabelsFigures, Quality
from decant.tasks.plot_tables import per_class_table, reliability_table
from decant.tasks.report_parts import (
    NONE,
    NUMBERED,
    SHOWN_LABEL,
    SHOWN_ROWS,
    Picture,
    Section,
    Table,
    cut,
    numbered_label,
)
from decant.tasks.task import Target

NOTES = (
    "Of sets of labels, micro-F1 is F1 of all decisions together, so a frequent label counts most; "
    "macro-F1 is the plain mean over the labels that occur or are answered. Mean average precision "
    "needs no threshold: it says how well the probabilities of a label order the rows. Subset "
    "accuracy is the share of the rows with every label right.",
    "Thresholds are each model's own, chosen on the validation split; the controls' are chosen in "
    "the same way.",
    "ECE of labels is the mean gap between the probability of a label and how often it is true, "
    f"over {RELIABILITY_BINS} bins of equal width (Guo et al. 2017), then the mean over the "
    "labels; 0 is perfect.",
)


def summary(figures: LabelsFigures) -> dict[str, str]:
    """A cell per column title."""
    worst = figures.worst_class
    return {
        "micro-F1": share(figures.micro_f1),
        "macro-F1": share(figures.macro_f1),
        "mean average precision": share(figures.mean_average_precision),
        "subset accuracy": share(figures.subset_accuracy),
        "worst label's recall": share(worst.recall) if worst else NONE,
        "ECE": f"{figures.ece:.3f}",
    }


def columns(values: NDArray[np.floating[Any]], target: Target) -> dict[str, Any]:
    """Labels (a list, the most probable first), probability_LABEL."""
    chosen = thresholds(target)
    found: dict[str, Any] = {
        "labels": [
            [target.outputs[index] for index in np.argsort(-row, kind="stable") if is_answer[index]]
            for row, is_answer in zip(values, values >= chosen, strict=True)
        ]
    }
    for index, label in enumerate(target.outputs):
        found[f"probability_{label}"] = values[:, index]
    return found


def plot_tables(tested: Mapping[str, Quality], target: Target) -> dict[str, pd.DataFrame]:
    """The tables of DVC.

    confusion has a line per test row and label that is true or that teacher or student answer: the
    label in `actual` where it is true, in `predicted...` where it is answered, else `-`.
    """
    truth = tested["student"].truth
    shown = truth | tested["student"].answers | tested["teacher"].answers
    rows, labels = np.nonzero(shown)
    names = np.array(target.outputs, dtype=object)[labels]
    confusion = {"actual": np.where(truth[rows, labels], names, NONE)}
    for model in ("student", *(name for name in tested if name != "student")):
        column = "predicted" if model == "student" else f"predicted_{model}"
        confusion[column] = np.where(tested[model].answers[rows, labels], names, NONE)
    of_labels = {model: quality.per_class for model, quality in tested.items()}
    scores = ("precision", "recall", "f1", "threshold", "ece")
    return {
        "confusion": pd.DataFrame(confusion),
        "per_class": per_class_table(target.outputs, of_labels, scores),
        "reliability": reliability_table({model: one.reliability for model, one in tested.items()}),
    }


def sections(
    tested: Mapping[str, Quality],
    target: Target,
    texts: Sequence[str],
    numbered: Collection[int],
) -> list[Section]:
    """Calibration, labels, errors, differences."""
    explained = [NUMBERED] if numbered else []
    return [
        Section(
            title="Calibration",
            parts=[
                Picture(
                    name="reliability",
                    caption="How often a label is true against its probability, of all labels in "
                    "15 bins.",
                )
            ],
        ),
        Section(
            title="Labels",
            parts=[
                Picture(
                    name="per_class_f1",
                    caption="F1 of each label for teacher, student and controls.",
                ),
                *explained,
                _label_table(target.outputs, tested, numbered),
            ],
        ),
        Section(
            title="The student's most confident errors",
            parts=[_error_table(target.outputs, texts, tested["student"])],
        ),
        Section(
            title="Where student and teacher differ",
            parts=[_disagreement_table(target.outputs, texts, tested)],
        ),
    ]


def _label_table(
    labels: Sequence[str], tested: Mapping[str, Quality], numbered: Collection[int]
) -> Table:
    """Per label: rows, the student's scores, its threshold, and the teacher's F1."""
    student, teacher = tested["student"].per_class, tested["teacher"].per_class
    scores = ("precision", "recall", "f1", "threshold", "ece")
    rows = [
        [
            numbered_label(label, index, is_numbered=index in numbered),
            f"{student['support'].iloc[index]:,}",
            f"{student['answers'].iloc[index]:,}",
            *(f"{student[column].iloc[index]:.3f}" for column in scores),
            f"{teacher['f1'].iloc[index]:.3f}",
        ]
        for index, label in enumerate(labels)
    ]
    return Table(
        columns=[
            *("label", "test rows", "answers", "precision", "recall", "F1"),
            *("threshold", "ECE", "teacher's F1"),
        ],
        rows=rows,
    )


def _error_table(labels: Sequence[str], texts: Sequence[str], student: Quality) -> Table:
    """Labels that the student answers or leaves away with the most certainty, and wrongly."""
    probability = student.probabilities
    sure = np.where(student.answers, probability, 1 - probability)
    rows, columns = np.nonzero(student.answers != student.truth)
    worst = np.argsort(-sure[rows, columns], kind="stable")[:SHOWN_ROWS]
    shown = [
        [
            cut(texts[row]),
            _names(labels, student.truth[row]),
            cut(labels[column], SHOWN_LABEL),
            "wrongly answered" if student.answers[row, column] else "missed",
            f"{probability[row, column]:.3f}",
        ]
        for row, column in zip(rows[worst], columns[worst], strict=True)
    ]
    return Table(
        columns=["text", "labels", "label", "student", "its probability"],
        rows=shown,
        text=True,
        without_rows="None: every test row is right.",
    )


def _disagreement_table(
    labels: Sequence[str], texts: Sequence[str], tested: Mapping[str, Quality]
) -> Table:
    """Rows on which student and teacher differ, where a probability differs most first."""
    teacher, student = tested["teacher"], tested["student"]
    apart = np.abs(teacher.probabilities - student.probabilities).max(axis=1)
    differ = np.flatnonzero((teacher.answers != student.answers).any(axis=1))
    shown = differ[np.argsort(-apart[differ], kind="stable")][:SHOWN_ROWS]
    rows = [
        [
            cut(texts[row]),
            *(
                _names(labels, decided[row])
                for decided in (student.truth, teacher.answers, student.answers)
            ),
        ]
        for row in shown
    ]
    return Table(
        columns=["text", "labels", "teacher", "student"],
        rows=rows,
        text=True,
        without_rows="Nowhere on the test split.",
    )


def _names(labels: Sequence[str], chosen: NDArray[np.bool_]) -> str:
    found = [
        cut(label, SHOWN_LABEL)
        for label, is_chosen in zip(labels, chosen, strict=True)
        if is_chosen
    ]
    return cut(", ".join(found)) or "none"
