"""Figures, and scores of resamples, against scikit-learn and SciPy on the drawn rows themselves."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    cohen_kappa_score,
    f1_score,
    r2_score,
)

from components.evaluate.bootstrap import resampled_scores
from decant.tasks.quality import Measured, measure
from decant.tasks.task import Target, Task

ROWS = 200
RANDOM = np.random.default_rng(0)
DRAWN = RANDOM.integers(0, ROWS, ROWS)
WEIGHTS = np.bincount(DRAWN, minlength=ROWS)[None].astype(float)
EVERY = np.arange(ROWS)
TRUTH = (RANDOM.random((ROWS, 5)) < 0.3).astype(float)
PROBABILITIES = np.round(0.4 * TRUTH + 0.6 * RANDOM.random((ROWS, 5)), 2)
ANSWERS = PROBABILITIES >= 0.5
NUMBERS = np.round(4 * RANDOM.random(ROWS)) + 1
GUESSES = np.clip(NUMBERS + RANDOM.normal(size=ROWS), 1, 5)

Reference = Callable[[NDArray[np.int64]], float]
OF_LABELS: dict[str, Reference] = {
    "micro_f1": lambda rows: f1_score(TRUTH[rows], ANSWERS[rows], average="micro"),
    "macro_f1": lambda rows: f1_score(TRUTH[rows], ANSWERS[rows], average="macro"),
    "mean_average_precision": lambda rows: average_precision_score(
        TRUTH[rows], PROBABILITIES[rows], average="macro"
    ),
    "subset_accuracy": lambda rows: accuracy_score(TRUTH[rows], ANSWERS[rows]),
}
OF_NUMBERS: dict[str, Reference] = {
    "pearson": lambda rows: pearsonr(NUMBERS[rows], GUESSES[rows])[0],
    "spearman": lambda rows: spearmanr(NUMBERS[rows], GUESSES[rows])[0],
    "r2": lambda rows: r2_score(NUMBERS[rows], GUESSES[rows]),
    "quadratic_kappa": lambda rows: cohen_kappa_score(
        NUMBERS[rows].astype(int), np.rint(GUESSES[rows]).astype(int), weights="quadratic"
    ),
}


def target(kind: str, metric: str, *outputs: str) -> Target:
    facts = {
        "multi_label": {"thresholds": "fixed", "threshold": 0.5},
        "regression": {"center": 2.0, "scale": 1.5, "ordinal": True},
        "single_label": {},
    }[kind]
    return Target(name=kind, kind=kind, column=kind, outputs=outputs, metric=metric, facts=facts)


def labels_quality(metric: str) -> Measured:
    task = Task((target("multi_label", metric, *"abcde"),))
    return measure(task, {"multi_label": PROBABILITIES}, TRUTH)["multi_label"]


def numbers_quality(metric: str) -> Measured:
    task = Task((target("regression", metric, "x"),))
    scaled = ((NUMBERS - 2.0) / 1.5)[:, None]
    return measure(task, {"regression": GUESSES[:, None]}, scaled)["regression"]


@pytest.mark.parametrize("metric", OF_LABELS)
def test_labels(metric: str) -> None:
    found, reference = labels_quality(metric), OF_LABELS[metric]
    assert found.score == pytest.approx(reference(EVERY))
    assert found.quality.figures[metric] == pytest.approx(reference(EVERY))
    assert found.resampled(WEIGHTS)[0] == pytest.approx(reference(DRAWN))


@pytest.mark.parametrize("metric", OF_NUMBERS)
def test_numbers(metric: str) -> None:
    found, reference = numbers_quality(metric), OF_NUMBERS[metric]
    assert found.score == pytest.approx(reference(EVERY))
    assert found.quality.figures[metric] == pytest.approx(reference(EVERY))
    assert found.resampled(WEIGHTS)[0] == pytest.approx(reference(DRAWN))


def test_macro_f1_of_classes() -> None:
    task = Task((target("single_label", "macro_f1", *"abc"),))
    actual = RANDOM.integers(0, 3, ROWS).astype(np.int32)
    probabilities = RANDOM.random((ROWS, 3)) + 0.5 * np.eye(3)[actual]
    found = measure(task, {"single_label": probabilities}, actual)["single_label"]
    answers = probabilities.argmax(axis=1)
    expected = f1_score(actual[DRAWN], answers[DRAWN], average="macro")
    assert found.resampled(WEIGHTS)[0] == pytest.approx(expected)


def test_calibration_of_each_label_by_hand() -> None:
    # Label a: 0.9 and 0.9, both true: 0.1. Label b: 0.2 and 0.2, one true: 0.3. Their mean is 0.2.
    task = Task((target("multi_label", "micro_f1", "a", "b"),))
    values = np.array([[0.9, 0.2], [0.9, 0.2]])
    truth = np.array([[1.0, 0.0], [1.0, 1.0]])
    quality = measure(task, {"multi_label": values}, truth)["multi_label"].quality
    assert quality.per_class["ece"].tolist() == pytest.approx([0.1, 0.3])
    assert quality.figures["ece"] == pytest.approx(0.2)
    assert quality.figures["worst_class"].label == "b"
    (missed,) = quality.missed_classes(quality)
    assert (missed.label, missed.test_rows, missed.teacher_right) == ("b", 1, 0)


def test_a_constant_answer_has_no_correlation() -> None:
    task = Task((target("regression", "pearson", "x"),))
    found = measure(task, {"regression": np.full((3, 1), 2.0)}, np.array([[0.0], [1], [2]]))
    assert found["regression"].score == 0
    assert found["regression"].quality.figures["pearson"] is None


def test_unknown_rows_do_not_count() -> None:
    task = Task((target("multi_label", "micro_f1", *"abcde"), target("regression", "r2", "x")))
    scaled = ((NUMBERS - 2.0) / 1.5)[:, None]
    labels = np.concatenate([TRUTH, scaled], axis=1)
    labels[::3, :5], labels[::4, 5] = np.nan, np.nan
    values = {"multi_label": PROBABILITIES, "regression": GUESSES[:, None]}
    found = measure(task, values, labels)
    of_labels, of_numbers = EVERY[EVERY % 3 > 0], EVERY[EVERY % 4 > 0]
    assert found["multi_label"].score == pytest.approx(OF_LABELS["micro_f1"](of_labels))
    assert found["regression"].score == pytest.approx(OF_NUMBERS["r2"](of_numbers))
    known = {"multi_label": EVERY % 3 > 0, "regression": EVERY % 4 > 0}
    drawn = resampled_scores(task, {"m": found, "n": found}, known, samples=500, seed=3)
    assert np.array_equal(drawn["m"].score, drawn["n"].score), "the same resamples"
    mean = (drawn["m"].targets["multi_label"] + drawn["m"].targets["regression"]) / 2
    assert drawn["m"].score == pytest.approx(mean)
    assert drawn["m"].targets["regression"].mean() == pytest.approx(
        found["regression"].score, abs=0.02
    )
