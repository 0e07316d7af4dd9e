"""Tables of classes: confusion, scores per class, errors, where student and teacher differ."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.figures.figure_text import share
from decant.tasks.calibration import RELIABILITY_BINS
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
from decant.tasks.single_label.quality import ClassesFigures, Quality
from decant.tasks.task import Target

NOTES = (
    "Of classes, macro-F1 is the plain mean over the classes of the test split: a rare class "
    "counts as much as a frequent one. A class's recall is the share of its test rows that get it "
    "as the answer; the lowest one says little where the class has few test rows.",
    "ECE of classes is the mean gap between confidence and accuracy over "
    f"{RELIABILITY_BINS} bins of equal width (Guo et al. 2017); 0 is perfect.",
)


def summary(figures: ClassesFigures) -> dict[str, str]:
    """A cell per column title."""
    worst = figures.worst_class
    return {
        "accuracy": share(figures.accuracy),
        "macro-F1": f"{figures.macro_f1:.3f}",
        "worst class's recall": share(worst.recall) if worst else NONE,
        "ECE": f"{figures.ece:.3f}",
    }


def columns(values: NDArray[np.floating[Any]], target: Target) -> dict[str, Any]:
    """label, probability_LABEL."""
    probabilities = values.astype(np.float32)
    names = np.array(target.outputs, dtype=object)
    found = {"label": names[probabilities.argmax(axis=1)]}
    for index, label in enumerate(target.outputs):
        found[f"probability_{label}"] = probabilities[:, index]
    return found


def plot_tables(tested: Mapping[str, Quality], target: Target) -> dict[str, pd.DataFrame]:
    """The tables of DVC: confusion with a line per test row, per_class, reliability."""
    names = np.array(target.outputs, dtype=object)
    student = tested["student"]
    confusion = {"actual": names[student.actual], "predicted": names[student.answers]}
    confusion |= {
        f"predicted_{model}": names[quality.answers]
        for model, quality in tested.items()
        if model != "student"
    }
    of_classes = {model: quality.per_class for model, quality in tested.items()}
    return {
        "confusion": pd.DataFrame(confusion),
        "per_class": per_class_table(target.outputs, of_classes, ("precision", "recall", "f1")),
        "reliability": reliability_table({model: one.reliability for model, one in tested.items()}),
    }


def sections(
    tested: Mapping[str, Quality],
    target: Target,
    texts: Sequence[str],
    numbered: Collection[int],
) -> list[Section]:
    """Calibration, classes, errors, differences."""
    explained = [NUMBERED] if numbered else []
    return [
        Section(
            title="Calibration",
            parts=[
                Picture(
                    name="reliability",
                    caption="Accuracy against confidence in 15 bins, and how many rows fall into "
                    "each.",
                )
            ],
        ),
        Section(
            title="Classes",
            parts=[
                Picture(
                    name="confusion",
                    caption="Confusion of teacher and student: rows are the labels, columns the "
                    "answers.",
                ),
                Picture(
                    name="per_class_f1",
                    caption="F1 of each class for teacher, student and controls.",
                ),
                *explained,
                _class_table(target.outputs, tested, numbered),
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


def _class_table(
    labels: Sequence[str], tested: Mapping[str, Quality], numbered: Collection[int]
) -> Table:
    """Per class: rows, and the student's and the teacher's scores."""
    student, teacher = tested["student"].per_class, tested["teacher"].per_class
    rows = [
        [
            numbered_label(label, index, is_numbered=index in numbered),
            f"{student['support'].iloc[index]:,}",
            f"{student['answers'].iloc[index]:,}",
            *(f"{student[column].iloc[index]:.3f}" for column in ("precision", "recall", "f1")),
            f"{teacher['f1'].iloc[index]:.3f}",
        ]
        for index, label in enumerate(labels)
    ]
    return Table(
        columns=["class", "test rows", "answers", "precision", "recall", "F1", "teacher's F1"],
        rows=rows,
    )


def _error_table(labels: Sequence[str], texts: Sequence[str], student: Quality) -> Table:
    """The student's most confident errors."""
    confidence = student.probabilities.max(axis=1)
    wrong = np.flatnonzero(~student.correct)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:SHOWN_ROWS]
    rows = [
        [
            cut(texts[row]),
            cut(labels[student.actual[row]], SHOWN_LABEL),
            cut(labels[student.answers[row]], SHOWN_LABEL),
            f"{confidence[row]:.3f}",
        ]
        for row in worst
    ]
    return Table(
        columns=["text", "label", "student", "confidence"],
        rows=rows,
        text=True,
        without_rows="None: every test row is right.",
    )


def _disagreement_table(
    labels: Sequence[str], texts: Sequence[str], tested: Mapping[str, Quality]
) -> Table:
    """Rows on which student and teacher differ, the most certain first."""
    teacher, student = tested["teacher"], tested["student"]
    sure = np.minimum(teacher.probabilities.max(axis=1), student.probabilities.max(axis=1))
    differ = np.flatnonzero(teacher.answers != student.answers)
    shown = differ[np.argsort(-sure[differ], kind="stable")][:SHOWN_ROWS]
    rows = [
        [
            cut(texts[row]),
            cut(labels[student.actual[row]], SHOWN_LABEL),
            *(
                f"{cut(labels[one.answers[row]], SHOWN_LABEL)} ({one.probabilities[row].max():.3f})"
                for one in (teacher, student)
            ),
        ]
        for row in shown
    ]
    return Table(
        columns=["text", "label", "teacher", "student"],
        rows=rows,
        text=True,
        without_rows="Nowhere on the test split.",
    )
