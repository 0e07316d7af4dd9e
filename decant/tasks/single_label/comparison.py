"""Two models on classes: right rows, F1 per class, calibration."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.calibration import calibration_error
from decant.tasks.task import Target

Array = NDArray[np.number[Any]]


def recorded(target: Target) -> list[str]:
    """The probability of each class."""
    return [f"probability_{label}" for label in target.outputs]


def right(values: Array, labels: Array, target: Target) -> NDArray[np.bool_] | None:
    """(rows,), where the metric is accuracy."""
    if target.metric != "accuracy":
        return None
    return np.asarray(values.argmax(axis=1) == _classes(labels))


def statistics(values: Array, labels: Array, target: Target) -> Array:
    """Right and 1; or of macro-F1 per class whether it is right, answered, and the label."""
    answers, classes = values.argmax(axis=1), _classes(labels)
    if target.metric == "accuracy":
        return np.stack([answers == classes, np.ones(len(values))], axis=1)
    order = np.argsort(target.outputs)[None]
    answered, is_label = answers[:, None] == order, classes[:, None] == order
    return np.hstack([answered & is_label, answered, is_label]).astype(np.float64)


def score(sums: Array, target: Target) -> NDArray[np.float64]:
    """Accuracy; or macro-F1 over the classes that occur among the labels."""
    if target.metric == "accuracy":
        return np.asarray(sums[:, 0] / sums[:, 1])
    found, answered, rows = np.split(sums, 3, axis=1)
    f1 = np.where(rows > 0, 2 * found / np.maximum(answered + rows, 1), 0)
    return np.asarray(f1.sum(axis=1) / (rows > 0).sum(axis=1))


def details(values: Array, labels: Array, target: Target) -> dict[str, Any]:
    """Accuracy, macro-F1, expected calibration error, and the class with the lowest recall."""
    answers, classes = values.argmax(axis=1), _classes(labels)
    is_right = answers == classes
    rows, found, answered = (
        np.bincount(of, minlength=len(target.outputs))
        for of in (classes, classes[is_right], answers)
    )
    tested = np.flatnonzero(rows)
    recall = found[tested] / rows[tested]
    worst = np.lexsort((-rows[tested], recall))[0]
    return {
        "accuracy": float(is_right.mean()),
        "macro_f1": float((2 * found[tested] / (rows[tested] + answered[tested])).mean()),
        "ece": calibration_error(values.max(axis=1), is_right),
        "worst_class": {
            "label": target.outputs[tested[worst]],
            "recall": float(recall[worst]),
            "test_rows": int(rows[tested[worst]]),
        },
    }


def shown(details: dict[str, Any]) -> dict[str, str]:
    """For the table of a comparison."""
    worst = details["worst_class"]
    return {
        "test accuracy": f"{details['accuracy']:.2%}",
        "macro F1": f"{details['macro_f1']:.3f}",
        "calibration error (ECE)": f"{details['ece']:.3f}",
        "recall of the worst class": f"{worst['recall']:.1%} ({_one_line(worst['label'])})",
    }


def recognised(values: Array, labels: Array, target: Target) -> dict[str, tuple[int, int]]:
    """Per class its rows, and those of them that are right."""
    classes = _classes(labels)
    is_right = values.argmax(axis=1) == classes
    return {
        label: (int((classes == index).sum()), int(is_right[classes == index].sum()))
        for index, label in enumerate(target.outputs)
    }


def decided(values: Array, target: Target) -> NDArray[Any]:
    """The most probable class."""
    return np.asarray(np.array(target.outputs, dtype=object)[values.argmax(axis=1)])


def certainty(values: Array, target: Target) -> NDArray[Any]:
    """Its probability."""
    return np.asarray(values.max(axis=1))


def truth(labels: Array, target: Target) -> NDArray[Any]:
    """The class."""
    return np.asarray(np.array(target.outputs, dtype=object)[_classes(labels)])


def apart(values: Array, others: Array, target: Target, other: Target) -> NDArray[Any]:
    """Of two different classes the larger of the two probabilities: the most certain first."""
    differ = decided(values, target) != decided(others, other)
    return np.where(differ, np.maximum(values.max(axis=1), others.max(axis=1)), 0)


def _classes(labels: Array) -> NDArray[np.int64]:
    return labels[:, 0].astype(np.int64)


def _one_line(label: str) -> str:
    return " ".join(label.split())
