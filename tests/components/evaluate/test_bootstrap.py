"""The paired bootstrap against certain cases and against resampling row by row."""

import numpy as np
import pytest

from components.evaluate.bootstrap import interval, ratio, resampled_accuracies


def test_nothing_varies_when_all_rows_are_alike() -> None:
    drawn = resampled_accuracies(
        {"a": np.ones(50, dtype=bool), "b": np.zeros(50, dtype=bool)}, samples=200, seed=1
    )
    assert interval(drawn["a"]) == (1.0, 1.0)
    assert interval(drawn["b"]) == (0.0, 0.0)


def test_two_models_right_on_the_same_rows_never_differ() -> None:
    correct = np.arange(100) % 3 > 0
    drawn = resampled_accuracies({"a": correct, "b": correct.copy()}, samples=500, seed=1)
    low, high = interval(drawn["a"]) or (0, 0)
    assert low < high
    assert interval(drawn["a"] - drawn["b"]) == (0.0, 0.0)
    assert interval(ratio(drawn["a"], drawn["b"])) == (1.0, 1.0)


def test_agrees_with_resampling_row_by_row() -> None:
    random = np.random.default_rng(7)
    teacher = random.random(300) < 0.8
    student = np.where(random.random(300) < 0.9, teacher, ~teacher)
    drawn = resampled_accuracies({"t": teacher, "s": student}, samples=20_000, seed=3)
    rows = random.integers(0, 300, size=(20_000, 300))
    expected = student[rows].mean(axis=1) / teacher[rows].mean(axis=1)
    found = interval(ratio(drawn["s"], drawn["t"]))
    assert found == pytest.approx(interval(expected), abs=0.004)


def test_same_seed_same_resamples() -> None:
    correct = {"a": np.arange(40) % 2 == 0}
    first = resampled_accuracies(correct, samples=100, seed=5)["a"]
    assert np.array_equal(first, resampled_accuracies(correct, samples=100, seed=5)["a"])
    assert not np.array_equal(first, resampled_accuracies(correct, samples=100, seed=6)["a"])


def test_ratio_to_nothing_is_undefined() -> None:
    assert interval(ratio(np.array([0.5, 0.2]), np.array([0.0, 0.0]))) is None
    assert interval(ratio(np.array([0.5, 0.2]), np.array([0.0, 0.4]))) == (0.5, 0.5)


def test_interval_is_the_middle_95_percent() -> None:
    assert interval(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))
