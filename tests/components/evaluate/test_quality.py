"""Accuracy, macro-F1 and calibration against figures worked out by hand."""

import numpy as np
import pytest

from decant.tasks.calibration import expected_calibration_error, reliability_bins
from decant.tasks.single_label.quality import majority_rate, measure_quality


def test_figures_of_four_rows_by_hand() -> None:
    # Labels 0 0 1 1, answers 0 1 1 1. Class 0: precision 1, recall 1/2, F1 2/3.
    # Class 1: precision 2/3, recall 1, F1 4/5. Class 2 occurs nowhere and does not count.
    probabilities = np.array(
        [[0.9, 0.1, 0], [0.3, 0.7, 0], [0.2, 0.8, 0], [0.4, 0.6, 0]], dtype=np.float32
    )
    quality = measure_quality(np.array([0, 0, 1, 1]), probabilities)
    assert quality.accuracy == 0.75
    assert quality.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert quality.per_class["precision"].tolist() == pytest.approx([1, 2 / 3, 0])
    assert quality.per_class["recall"].tolist() == pytest.approx([0.5, 1, 0])
    assert quality.per_class["support"].tolist() == [2, 2, 0]
    assert quality.per_class["answers"].tolist() == [1, 3, 0]
    assert quality.worst_class == 0
    assert quality.missed == [], "class 2 has no test row"


def test_a_missed_class_and_the_worst_of_them_by_hand() -> None:
    # Labels 0 1 1 2 2 3, answers 0 0 1 3 3 3. Recalls 1, 1/2, 0, 1; class 2 is never answered.
    actual, answers = np.array([0, 1, 1, 2, 2, 3]), [0, 0, 1, 3, 3, 3]
    quality = measure_quality(actual, np.eye(5, dtype=np.float32)[answers])
    assert quality.per_class["recall"].tolist() == [1, 0.5, 0, 1, 0]
    assert (quality.worst_class, quality.missed) == (2, [2])
    assert quality.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0 + 1 / 2) / 4)
    # Of two classes with recall 0, the one with more rows; with as many, the first.
    for actual, worst in (([0, 1, 1, 2], 1), ([0, 1, 2, 2], 2), ([0, 1, 2], 1)):
        wrong = measure_quality(np.array(actual), np.eye(3, dtype=np.float32)[[0] * len(actual)])
        assert (wrong.worst_class, wrong.missed) == (worst, [1, 2])


def test_one_wrong_answer_does_not_know_a_class() -> None:
    # Labels 0 0 1 2, answers 1 0 2 2: class 1 is answered, but not where it is right.
    answers = np.eye(3, dtype=np.float32)[[1, 0, 2, 2]]
    quality = measure_quality(np.array([0, 0, 1, 2]), answers)
    assert quality.per_class["answers"].tolist() == [1, 1, 2]
    assert quality.per_class["right"].tolist() == [1, 0, 1]
    assert quality.missed == [1]


def test_calibration_error_by_hand() -> None:
    # Two bins. Low one: confidence 0.3 and 0.5 (mean 0.4), one right: gap 0.1, 2 rows.
    # High one: 0.7 and 0.9 and 0.8 (mean 0.8), all right: gap 0.2, 3 rows. (0.1*2 + 0.2*3) / 5.
    confidence = np.array([0.3, 0.5, 0.7, 0.9, 0.8], dtype=np.float32)
    bins = reliability_bins(confidence, np.array([True, False, True, True, True]), bins=2)
    assert bins["rows"].tolist() == [2, 3]
    assert bins["confidence"].tolist() == pytest.approx([0.4, 0.8])
    assert bins["accuracy"].tolist() == [0.5, 1.0]
    assert expected_calibration_error(bins) == pytest.approx(0.16)


def test_bins_are_closed_on_the_right_and_may_be_empty() -> None:
    bins = reliability_bins(np.array([0.5, 1.0], dtype=np.float32), np.array([True, True]), bins=4)
    assert bins["rows"].tolist() == [0, 1, 0, 1]
    assert bins["accuracy"].isna().tolist() == [True, False, True, False]
    assert expected_calibration_error(bins) == pytest.approx(0.25)


def test_sure_and_always_right_is_perfectly_calibrated() -> None:
    quality = measure_quality(np.array([0, 1]), np.eye(2, dtype=np.float32))
    assert (quality.accuracy, quality.macro_f1, quality.ece) == (1, 1, 0)


def test_majority_rate() -> None:
    assert majority_rate(np.array([0, 1, 1, 2]), 1) == 0.5
