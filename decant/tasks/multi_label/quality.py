"""Quality of sets of labels: F1, average precision, whole sets, calibration of each label."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.figures.figure_set import LeftOut
from decant.figures.quality_figures import ClassRecall, MissedClass
from decant.figures.target_figures import TargetFigures
from decant.tasks.calibration import expected_calibration_error, reliability_bins
from decant.tasks.multi_label.answers import thresholds
from decant.tasks.multi_label.scores import f1, mean_average_precision
from decant.tasks.task import Target


class LabelsFigures(TargetFigures):
    """Of a target with any number of labels per text."""

    micro_f1: float
    """F1 of all decisions together, 0 to 1."""

    macro_f1: float
    """Unweighted mean of F1 over the labels that occur or are answered, 0 to 1."""

    mean_average_precision: float
    """Mean over the labels that occur of the average precision of their probabilities, 0 to 1."""

    subset_accuracy: float
    """Share of the test rows with all labels right, 0 to 1."""

    ece: float
    """Mean over the labels of the expected calibration error of their probabilities, 0 to 1."""

    worst_class: LeftOut[ClassRecall] = None
    """Of the labels with test rows, the one with the lowest recall."""


FIGURES = LabelsFigures


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How well one model does on the test rows.

    Attributes:
        target: with the thresholds of this model.
        probabilities: (rows, labels).
        truth, answers: (rows, labels) bool.
        per_class: a row per label: precision, recall, f1, support (test rows with it), answers,
            right (answers that are), threshold (a probability), ece.
        reliability: of all labels' probabilities together, a row per bin: lower, upper, rows,
            confidence, accuracy (the share that is true).
    """

    target: Target
    probabilities: NDArray[np.float64]
    truth: NDArray[np.bool_]
    answers: NDArray[np.bool_]
    per_class: pd.DataFrame
    reliability: pd.DataFrame

    @property
    def rows(self) -> int:
        """Of the test."""
        return len(self.truth)

    @cached_property
    def figures(self) -> dict[str, Any]:
        """Those of LabelsFigures."""
        table = self.per_class
        right, answers, support = (table[name].sum() for name in ("right", "answers", "support"))
        counted = table[(table["answers"] + table["support"]) > 0]
        tested = table[table["support"] > 0]
        worst = tested.sort_values(["recall", "support"], ascending=[True, False], kind="stable")
        return {
            "micro_f1": _defined(f1(right, answers - right, support - right)),
            "macro_f1": float(counted["f1"].mean()) if len(counted) else 0.0,
            "mean_average_precision": _defined(
                mean_average_precision(self.probabilities, self.truth)
            ),
            "subset_accuracy": float(self._whole.mean()),
            "ece": float(table["ece"].mean()),
            "worst_class": ClassRecall(
                label=self.target.outputs[int(worst.index[0])],
                recall=float(worst["recall"].iloc[0]),
                test_rows=int(worst["support"].iloc[0]),
            )
            if len(worst)
            else None,
        }

    @property
    def right(self) -> NDArray[np.bool_] | None:
        """Rows with all labels right, where the metric is their share."""
        return self._whole if self.target.metric == "subset_accuracy" else None

    def missed_classes(self, teacher: "Quality") -> tuple[MissedClass, ...]:
        """Labels with test rows of which none is right, with the rows that a teacher has right."""
        table = self.per_class
        return tuple(
            MissedClass(
                label=self.target.outputs[index],
                test_rows=int(table["support"].iloc[index]),
                teacher_right=int(teacher.per_class["right"].iloc[index]),
            )
            for index in table.index[(table["support"] > 0) & (table["right"] == 0)]
        )

    def agreement(self, other: "Quality") -> float:
        """Share of the rows and labels on which both decide the same."""
        return float((self.answers == other.answers).mean())

    def resampled(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The metric (samples,) of weights (samples, rows)."""
        if self.target.metric == "subset_accuracy":
            return np.asarray(weights @ self._whole / weights.sum(axis=1))
        if self.target.metric == "mean_average_precision":
            return self._average_precisions(weights)
        right, whole = (weights @ part for part in self._counts)
        if self.target.metric == "micro_f1":
            right, whole = right.sum(axis=1), whole.sum(axis=1)
        with np.errstate(invalid="ignore"):
            found = np.where(whole > 0, 2 * right / whole, np.nan)
        return found if found.ndim == 1 else _mean_of_defined(found)

    def _average_precisions(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """As scores.mean_average_precision, with rows that count several times."""
        found = np.full((len(weights), len(self.target.outputs)), np.nan)
        for label, (order, ends) in enumerate(self._falling):
            chosen = weights[:, order]
            rows = chosen.cumsum(axis=1)[:, ends]
            right = (chosen * self.truth[order, label]).cumsum(axis=1)[:, ends]
            positive = right[:, -1:]
            with np.errstate(invalid="ignore", divide="ignore"):
                precision = np.where(rows > 0, right / rows, 0.0)
                recall = right / positive
            found[:, label] = (precision * np.diff(recall, prepend=0.0, axis=1)).sum(axis=1)
        return _mean_of_defined(found)

    @cached_property
    def _falling(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Per label the rows by falling probability, and where a run of equal ones ends."""
        found = []
        for column in self.probabilities.T:
            order = np.argsort(-column, kind="stable")
            ends = np.flatnonzero(np.append(np.diff(column[order]) != 0, True))
            found.append((order, ends))
        return found

    @cached_property
    def _whole(self) -> NDArray[np.bool_]:
        return np.asarray((self.answers == self.truth).all(axis=1))

    @cached_property
    def _counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Per row and label: whether it is rightly answered, and 2 tp + fp + fn."""
        both = (self.answers & self.truth).astype(np.float64)
        return both, self.answers.astype(np.float64) + self.truth


def measure(
    values: NDArray[np.floating[Any]], labels: NDArray[np.float64], target: Target
) -> Quality:
    """Compare labels (rows, labels) of 0 and 1 with probabilities of the same shape."""
    probabilities, truth = values.astype(np.float64), labels > 0.5
    chosen = thresholds(target)
    answers = probabilities >= chosen
    outputs = len(target.outputs)
    counts = (answers & truth).sum(axis=0), answers.sum(axis=0), truth.sum(axis=0)
    right, answered, support = (part.astype(np.int64) for part in counts)
    per_class = pd.DataFrame(
        {
            "precision": right / np.maximum(answered, 1),
            "recall": right / np.maximum(support, 1),
            "f1": 2 * right / np.maximum(answered + support, 1),
            "support": support,
            "answers": answered,
            "right": right,
            "threshold": chosen,
            "ece": [
                expected_calibration_error(
                    reliability_bins(probabilities[:, label], truth[:, label])
                )
                for label in range(outputs)
            ],
        }
    )
    return Quality(
        target=target,
        probabilities=probabilities,
        truth=truth,
        answers=answers,
        per_class=per_class,
        reliability=reliability_bins(probabilities.ravel(), truth.ravel()),
    )


def _mean_of_defined(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the labels (samples, labels); NaN where none is defined."""
    defined = np.isfinite(found)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, found, 0).sum(axis=1) / defined.sum(axis=1))


def _defined(value: float) -> float:
    return float(np.nan_to_num(value))
