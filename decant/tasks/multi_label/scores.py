"""F1, average precision and subset accuracy of labels, and the thresholds from which on they hold.

F1 is 2 tp / (2 tp + fp + fn); a label that neither occurs nor is answered has none and does not
count in the macro mean.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.task import Target

Array = NDArray[np.number[Any]]

DECIDES = True

# Of the logits of a constant set: as sure as a float32 sigmoid can tell from 0 and 1.
SURE = 15.0
_DECISION = "decision"


def score(logits: Array, labels: Array, target: Target) -> float:
    """The target's metric over the labelled rows; NaN without any."""
    known = ~np.isnan(labels[:, 0])
    logits, truth = logits[known], labels[known] > 0.5
    if not len(truth):
        return float("nan")
    if target.metric == "mean_average_precision":
        return mean_average_precision(logits, truth)
    answers = decisions(logits, target)
    if target.metric == "subset_accuracy":
        return float(np.mean((answers == truth).all(axis=1)))
    right, wrong, missed = (
        (answers & truth).sum(axis=0),
        (answers & ~truth).sum(axis=0),
        (~answers & truth).sum(axis=0),
    )
    if target.metric == "micro_f1":
        return f1(right.sum(), wrong.sum(), missed.sum())
    found = [f1(*counts) for counts in zip(right, wrong, missed, strict=True)]
    return float(np.nanmean(found)) if not np.isnan(found).all() else float("nan")


def constant_logits(labels: Array, target: Target) -> NDArray[np.float64]:
    """(W,) of the most frequent labels, as many as are best by the target's metric.

    With mean average precision, which needs no decision, no set is better than another.
    """
    known = labels[~np.isnan(labels[:, 0])]
    order = np.argsort(-known.sum(axis=0), kind="stable")
    best: tuple[float, NDArray[np.float64]] | None = None
    for count in range(len(order) + 1):
        logits = np.full(len(order), -SURE)
        logits[order[:count]] = SURE
        reached = float(np.nan_to_num(score(np.tile(logits, (len(known), 1)), known, target)))
        if best is None or reached > best[0]:
            best = (reached, logits)
    assert best is not None  # there is at least the empty set
    return best[1]


def agreement(logits: Array, others: Array, target: Target) -> float:
    """Share of the rows and labels on which both decide the same."""
    return float(np.mean(decisions(logits, target) == decisions(others, target)))


def decision(logits: Array, labels: Array, target: Target) -> dict[str, Any]:
    """Thresholds of the logits, one per label, with the best F1 on these rows.

    One for all labels has the best micro-F1, one per label its own best F1; a label that these rows
    do not have keeps the fixed one. Of equally good thresholds it is the middle one.
    """
    fixed = _logit(float(target.facts["threshold"]))
    known = ~np.isnan(labels[:, 0])
    logits, truth = logits[known].astype(np.float64), labels[known] > 0.5
    outputs = len(target.outputs)
    if target.facts["thresholds"] == "fixed" or not truth.any():
        return {"thresholds": [fixed] * outputs}
    if target.facts["thresholds"] == "global":
        return {"thresholds": [_best_threshold(logits.ravel(), truth.ravel(), fixed)] * outputs}
    return {
        "thresholds": [
            _best_threshold(logits[:, label], truth[:, label], fixed) for label in range(outputs)
        ]
    }


def decisions(logits: Array, target: Target) -> NDArray[np.bool_]:
    """Which labels are answered, (rows, L)."""
    chosen = target.facts.get(_DECISION, {}).get("thresholds")
    if chosen is None:
        chosen = _logit(float(target.facts["threshold"]))
    return np.asarray(logits >= np.asarray(chosen, dtype=np.float64))


def f1(right: float, wrong: float, missed: float) -> float:
    """NaN where there is nothing to find and nothing was answered."""
    whole = 2 * right + wrong + missed
    return float(2 * right / whole) if whole else float("nan")


def mean_average_precision(logits: Array, truth: NDArray[np.bool_]) -> float:
    """The mean over the labels that occur of the average precision, ties counted together.

    Average precision is the sum over the thresholds of precision times the rise of the recall, as
    scikit-learn has it.
    """
    found = []
    for label in range(truth.shape[1]):
        if not truth[:, label].any():
            continue
        right, answered, ends = _counts(logits[:, label], truth[:, label])
        precision = right[ends] / answered[ends]
        recall = right[ends] / right[-1]
        found.append(float(np.sum(precision * np.diff(recall, prepend=0.0))))
    return float(np.mean(found)) if found else float("nan")


def _best_threshold(logits: Array, truth: NDArray[np.bool_], fixed: float) -> float:
    if not truth.any():
        return fixed
    right, answered, ends = _counts(logits, truth)
    found = 2 * right[ends] / (answered[ends] + truth.sum())
    best = np.flatnonzero(found >= found.max() - 1e-12)
    at = ends[best[len(best) // 2]]
    falling = -np.sort(-logits, kind="stable")
    below = falling[at + 1] if at + 1 < len(falling) else falling[at] - 1.0
    return float((falling[at] + below) / 2)


def _counts(
    logits: Array, truth: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Going down the logits: right answers so far, answers so far, and where a tie ends."""
    order = np.argsort(-logits, kind="stable")
    falling = logits[order]
    ends = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    return np.cumsum(truth[order]), np.arange(1, len(order) + 1), ends


def _logit(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))
