"""How far probabilities are from how often they are right."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.runtime.errors import UserError

RELIABILITY_BINS = 15


def reliability_bins(
    confidence: NDArray[np.floating[Any]],
    correct: NDArray[np.bool_],
    bins: int = RELIABILITY_BINS,
) -> pd.DataFrame:
    """Mean confidence and accuracy in equal-width bins ((m-1)/bins, m/bins] of the confidence.

    Empty bins have 0 rows and no confidence and accuracy (NaN). Raises UserError for a confidence
    that is not a finite number.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 2.
    """
    values = confidence.astype(np.float64)
    if not np.isfinite(values).all():  # NaN would fall into a bin and out of the sum
        raise UserError(
            f"{int((~np.isfinite(values)).sum())} of {len(values)} confidences are not numbers",
            code="model-unreadable",
            hint="the model diverged, or its predictions are damaged: evaluate it again",
        )
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


def calibration_error(confidence: NDArray[Any], correct: NDArray[np.bool_]) -> float:
    """The expected calibration error (rows,) of confidences and what is right, 0 to 1."""
    return expected_calibration_error(reliability_bins(confidence, correct))
