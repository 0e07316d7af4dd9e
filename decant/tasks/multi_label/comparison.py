"""Two models on labels of which a text has any number: F1, average precision, calibration."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.calibration import calibration_error
from decant.tasks.multi_label.answers import thresholds
from decant.tasks.multi_label.scores import mean_average_precision
from decant.tasks.task import Target

Array = NDArray[np.number[Any]]


def recorded(target: Target) -> list[str]:
    """The probability of each label."""
    return [f"probability_{label}" for label in target.outputs]


def right(values: Array, labels: Array, target: Target) -> NDArray[np.bool_] | None:
    """(rows,), all labels at once, where the metric is subset accuracy."""
    if target.metric != "subset_accuracy":
        return None
    return np.asarray((_answered(values, target) == (labels > 0.5)).all(axis=1))


def statistics(values: Array, labels: Array, target: Target) -> Array | None:
    """All right and 1; or per label right, wrong and missed; None of mean average precision."""
    if target.metric == "mean_average_precision":
        return None
    all_right = right(values, labels, target)
    if all_right is not None:
        return np.stack([all_right, np.ones(len(values))], axis=1)
    order = np.argsort(target.outputs)
    answered, is_label = _answered(values, target)[:, order], labels[:, order] > 0.5
    counts = [answered & is_label, answered & ~is_label, ~answered & is_label]
    return np.hstack(counts).astype(np.float64)


def score(sums: Array, target: Target) -> NDArray[np.float64]:
    """Subset accuracy, micro-F1, or macro-F1 over the labels that occur or are answered."""
    if target.metric == "subset_accuracy":
        return np.asarray(sums[:, 0] / sums[:, 1])
    found, wrong, missed = np.split(sums, 3, axis=1)
    if target.metric == "micro_f1":
        found, wrong, missed = (one.sum(axis=1, keepdims=True) for one in (found, wrong, missed))
    whole = 2 * found + wrong + missed
    f1 = np.where(whole > 0, 2 * found / np.maximum(whole, 1), 0)
    return np.asarray(f1.sum(axis=1) / np.maximum((whole > 0).sum(axis=1), 1))


def ranked(
    values: Array, labels: Array, target: Target, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean average precision over the labels that have rows."""
    is_label = labels > 0.5
    total, count = np.zeros(len(weights)), np.zeros(len(weights))
    for label in range(values.shape[1]):
        order = np.argsort(-values[:, label], kind="stable")
        ends = np.append(np.diff(values[order, label]) != 0, True)
        falling = weights[:, order]
        found = np.cumsum(falling * is_label[order, label], axis=1)
        answered = np.cumsum(falling, axis=1)
        found, answered = found[:, ends], answered[:, ends]
        precision = found / np.maximum(answered, 1)
        rise = np.diff(found, prepend=0.0, axis=1)
        rows = found[:, -1]
        total += np.where(rows > 0, (precision * rise).sum(axis=1) / np.maximum(rows, 1), 0)
        count += rows > 0
    return np.asarray(total / np.maximum(count, 1))


def details(values: Array, labels: Array, target: Target) -> dict[str, Any]:
    """F1, mean average precision, and the mean over the labels of their calibration errors."""
    is_label = labels > 0.5
    answered = _answered(values, target)
    found, wrong, missed = (
        (one).sum(axis=0)
        for one in (answered & is_label, answered & ~is_label, ~answered & is_label)
    )
    whole = 2 * found + wrong + missed
    f1 = 2 * found[whole > 0] / whole[whole > 0]
    errors = [
        calibration_error(values[:, label], is_label[:, label]) for label in range(len(whole))
    ]
    return {
        "micro_f1": float(2 * found.sum() / whole.sum()) if whole.sum() else 0.0,
        "macro_f1": float(f1.mean()) if len(f1) else 0.0,
        "mean_average_precision": float(np.nan_to_num(mean_average_precision(values, is_label))),
        "subset_accuracy": float((answered == is_label).all(axis=1).mean()),
        "ece": float(np.mean(errors)),
    }


def shown(details: dict[str, Any]) -> dict[str, str]:
    """For the table of a comparison."""
    return {
        "micro F1": f"{details['micro_f1']:.2%}",
        "macro F1": f"{details['macro_f1']:.2%}",
        "mean average precision": f"{details['mean_average_precision']:.2%}",
        "subset accuracy": f"{details['subset_accuracy']:.2%}",
        "calibration error (ECE), mean of the labels": f"{details['ece']:.3f}",
    }


def recognised(values: Array, labels: Array, target: Target) -> dict[str, tuple[int, int]]:
    """Per label the rows that have it, and those of them where it is answered."""
    answered, is_label = _answered(values, target), labels > 0.5
    return {
        label: (
            int(is_label[:, index].sum()),
            int((answered[:, index] & is_label[:, index]).sum()),
        )
        for index, label in enumerate(target.outputs)
    }


def decided(values: Array, target: Target) -> NDArray[Any]:
    """The answered labels in their order, separated by commas."""
    return _listed(_answered(values, target), target)


def certainty(values: Array, target: Target) -> None:
    """There are as many probabilities as labels."""
    return


def truth(labels: Array, target: Target) -> NDArray[Any]:
    """The labels of each row in the same form."""
    return _listed(labels > 0.5, target)


def apart(values: Array, others: Array, target: Target, other: Target) -> NDArray[Any]:
    """Of the labels that one alone answers, the largest difference of their probabilities."""
    order = [other.outputs.index(label) for label in target.outputs]
    differ = _answered(values, target) != _answered(others, other)[:, order]
    # two thresholds may lie on both sides of one probability
    differences = np.maximum(np.abs(values - others[:, order]), np.finfo(np.float32).tiny)
    return np.asarray(np.where(differ, differences, 0).max(axis=1))


def _answered(values: Array, target: Target) -> NDArray[np.bool_]:
    return np.asarray(values >= thresholds(target))


def _listed(chosen: NDArray[np.bool_], target: Target) -> NDArray[Any]:
    """In the order of their names, so that two models write the same labels alike."""
    found = np.empty(len(chosen), dtype=object)
    for row, of_row in enumerate(chosen):
        found[row] = ", ".join(sorted(target.outputs[index] for index in np.flatnonzero(of_row)))
    return found
