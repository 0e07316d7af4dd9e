"""Quality of single-label predictions: accuracy, F1 per class, calibration."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

RELIABILITY_BINS = 15


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How well one model does on the test rows.

    Attributes:
        accuracy: share of rows whose most probable class is the label.
        macro_f1: unweighted mean of F1 over the classes that occur among the labels.
        ece: expected calibration error, 0 to 1.
        per_class: a row per class: precision, recall, f1, support (test rows), answers,
            right (answers that are).
        reliability: a row per bin of confidence: lower, upper, rows, confidence, accuracy.
    """

    accuracy: float
    macro_f1: float
    ece: float
    per_class: pd.DataFrame
    reliability: pd.DataFrame

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


def measure_quality(actual: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Quality:
    """Compare class indices (rows,) with predicted probabilities (rows, classes)."""
    predicted = probabilities.argmax(axis=1)
    correct = predicted == actual
    precision, recall, f1, support = precision_recall_fscore_support(
        actual, predicted, labels=np.arange(probabilities.shape[1]), zero_division=0
    )
    per_class = pd.DataFrame(
        {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "support": support,
            "answers": np.bincount(predicted, minlength=probabilities.shape[1]),
            "right": np.bincount(predicted[correct], minlength=probabilities.shape[1]),
        }
    )
    reliability = reliability_bins(probabilities.max(axis=1), correct)
    return Quality(
        accuracy=float(correct.mean()),
        macro_f1=float(f1[support > 0].mean()),
        ece=expected_calibration_error(reliability),
        per_class=per_class,
        reliability=reliability,
    )


def reliability_bins(
    confidence: NDArray[np.float32], correct: NDArray[np.bool_], bins: int = RELIABILITY_BINS
) -> pd.DataFrame:
    """Mean confidence and accuracy in equal-width bins ((m-1)/bins, m/bins] of the confidence.

    Empty bins have 0 rows and no confidence and accuracy (NaN).
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 2.
    """
    values = confidence.astype(np.float64)
    index = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)
    rows = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(index, weights=values, minlength=bins) / rows
        accuracy = np.bincount(index, weights=correct.astype(float), minlength=bins) / rows
    edges = np.arange(bins + 1) / bins
    return pd.DataFrame(
        {
            "lower": edges[:-1],
            "upper": edges[1:],
            "rows": rows,
            "confidence": mean_confidence,
            "accuracy": accuracy,
        }
    )


def expected_calibration_error(reliability: pd.DataFrame) -> float:
    """Mean over the rows of |accuracy - confidence| of their bin (Guo et al. 2017, equation 3)."""
    gap = (reliability["accuracy"] - reliability["confidence"]).abs()
    return float((gap * reliability["rows"]).sum() / reliability["rows"].sum())


def majority_rate(actual: NDArray[np.int64], majority: int) -> float:
    """Accuracy of always answering one class."""
    return float((actual == majority).mean())
