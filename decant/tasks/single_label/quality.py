"""Quality of one class per text: accuracy, F1 per class, calibration."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from decant.figures.figure_set import LeftOut
from decant.figures.quality_figures import ClassRecall, MissedClass
from decant.figures.target_figures import TargetFigures
from decant.tasks.calibration import expected_calibration_error, reliability_bins
from decant.tasks.task import Target


class ClassesFigures(TargetFigures):
    """Of a target with classes."""

    accuracy: float
    """Share of the test rows whose most probable class is the label, 0 to 1."""

    macro_f1: float
    """Unweighted mean of F1 over the classes that occur among the labels, 0 to 1."""

    ece: float
    """Expected calibration error, 0 (perfect) to 1 (Guo et al. 2017)."""

    worst_class: LeftOut[ClassRecall] = None
    """Of the classes with test rows, the one with the lowest recall."""


FIGURES = ClassesFigures


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How well one model does on the test rows.

    Attributes:
        labels: the classes.
        metric: accuracy or macro_f1.
        actual, answers: class indices (rows,).
        probabilities: (rows, classes).
        accuracy: share of rows whose most probable class is the label.
        macro_f1: unweighted mean of F1 over the classes that occur among the labels.
        ece: expected calibration error, 0 to 1.
        per_class: a row per class: precision, recall, f1, support (test rows), answers,
            right (answers that are).
        reliability: a row per bin of confidence: lower, upper, rows, confidence, accuracy.
    """

    labels: Sequence[str]
    metric: str
    actual: NDArray[np.int64]
    answers: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    accuracy: float
    macro_f1: float
    ece: float
    per_class: pd.DataFrame
    reliability: pd.DataFrame

    @property
    def rows(self) -> int:
        """Of the test."""
        return len(self.actual)

    @property
    def figures(self) -> dict[str, Any]:
        """Those of ClassesFigures."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "ece": self.ece,
            "worst_class": worst_class(self, self.labels),
        }

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Rows (rows,) whose answer is the label."""
        return np.asarray(self.answers == self.actual)

    @property
    def right(self) -> NDArray[np.bool_] | None:
        """The same where the metric is their share."""
        return self.correct if self.metric == "accuracy" else None

    @property
    def worst_class(self) -> int:
        """The class with the lowest recall among those with test rows; of equals the most rows."""
        tested = self.per_class[self.per_class["support"] > 0]
        order = tested.sort_values(["recall", "support"], ascending=[True, False], kind="stable")
        return int(order.index[0])

    @property
    def missed(self) -> list[int]:
        """Classes with test rows of which none is right: one wrong answer does not know a class."""
        table = self.per_class
        return table.index[(table["support"] > 0) & (table["right"] == 0)].tolist()

    def missed_classes(self, teacher: "Quality") -> tuple[MissedClass, ...]:
        """The same with the rows that a teacher has right."""
        return tuple(
            MissedClass(
                label=self.labels[index],
                test_rows=int(self.per_class["support"].iloc[index]),
                teacher_right=int(teacher.per_class["right"].iloc[index]),
            )
            for index in self.missed
        )

    def agreement(self, other: "Quality") -> float:
        """Share of the rows with the same class."""
        return float((self.answers == other.answers).mean())

    def resampled(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Accuracy or macro-F1 (samples,) of weights (samples, rows)."""
        if self.metric == "accuracy":
            return np.asarray(weights @ self.correct / weights.sum(axis=1))
        right, answers, support = (weights @ part for part in self._counts)
        with np.errstate(invalid="ignore"):
            f1 = np.where(support > 0, 2 * right / (answers + support), np.nan)
        return np.asarray(np.nanmean(f1, axis=1))

    @cached_property
    def _counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Per row and class whether it is right, the answer, and the label."""
        classes = np.arange(len(self.labels))
        answers = (self.answers[:, None] == classes).astype(np.float64)
        support = (self.actual[:, None] == classes).astype(np.float64)
        return answers * support, answers, support


def measure(
    values: NDArray[np.floating[Any]], labels: NDArray[np.float64], target: Target
) -> Quality:
    """Compare the labels (rows, 1) with probabilities (rows, classes)."""
    return measure_quality(
        labels[:, 0].astype(np.int64),
        values.astype(np.float32),
        labels=target.outputs,
        metric=target.metric,
    )


def measure_quality(
    actual: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    *,
    labels: Sequence[str] | None = None,
    metric: str = "accuracy",
) -> Quality:
    """Compare class indices (rows,) with predicted probabilities (rows, classes).

    Args:
        labels: the classes' names; their numbers without.
    """
    answers = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    correct = answers == actual
    precision, recall, f1, support = precision_recall_fscore_support(
        actual, answers, labels=np.arange(classes), zero_division=0
    )
    per_class = pd.DataFrame(
        {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": support,
            "answers": np.bincount(answers, minlength=classes),
            "right": np.bincount(answers[correct], minlength=classes),
        }
    )
    reliability = reliability_bins(probabilities.max(axis=1), correct)
    return Quality(
        labels=labels or [str(index) for index in range(classes)],
        metric=metric,
        actual=actual,
        answers=answers,
        probabilities=probabilities,
        accuracy=float(correct.mean()),
        macro_f1=float(f1[support > 0].mean()),
        ece=expected_calibration_error(reliability),
        per_class=per_class,
        reliability=reliability,
    )


def worst_class(quality: Quality, labels: Sequence[str]) -> ClassRecall:
    """Of the classes with test rows, the one with the lowest recall."""
    index, table = quality.worst_class, quality.per_class
    return ClassRecall(
        label=labels[index],
        recall=float(table["recall"].iloc[index]),
        test_rows=int(table["support"].iloc[index]),
    )


def majority_rate(actual: NDArray[np.int64], majority: int) -> float:
    """Accuracy of always answering one class."""
    return float((actual == majority).mean())
