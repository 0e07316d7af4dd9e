"""Two models beside each other, against plain recomputation row by row."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import (
    average_precision_score,
    cohen_kappa_score,
    f1_score,
    r2_score,
)

from decant.tasks.comparison import Compared, OneModel, PairedTest, compare, randomisation
from decant.tasks.task import Target
from tests.word_models import CLASSES, EMOTIONS, STARS

ROWS = 40
Array = Any
Metric = Callable[[Array, Array], float]


def models(target: Target, seed: int = 0) -> tuple[OneModel, OneModel]:
    """Two models of different quality on random labels."""
    random = np.random.default_rng(seed)
    width = len(target.outputs)
    if target.kind == "single_label":
        labels = random.integers(0, width, (ROWS, 1)).astype(float)
        truth = np.eye(width)[labels[:, 0].astype(int)]
    elif target.kind == "multi_label":
        labels = truth = random.integers(0, 2, (ROWS, width)).astype(float)
    else:
        labels = np.round(random.normal(size=(ROWS, 1)), 1)
        truth = labels * 2 + 3

    def made(noise: float) -> OneModel:
        values = truth + random.normal(size=truth.shape) * noise
        if target.kind != "regression":
            values = 1 / (1 + np.exp(-4 * (values - 0.5)))
        if target.kind != "single_label":  # of two equal probabilities the first class is answered
            values = np.round(values, 2)
        return OneModel(target=target, values=values, labels=labels)

    return made(0.5), made(0.8)


def with_metric(target: Target, metric: str) -> Target:
    return dataclasses.replace(target, metric=metric)


THREE = dataclasses.replace(CLASSES, outputs=("b", "c", "a"))
MANY = dataclasses.replace(
    EMOTIONS, outputs=("b", "c", "a"), facts={"threshold": 0.4, "thresholds": "fixed"}
)


def classes(model: OneModel) -> tuple[Array, Array]:
    return model.labels[:, 0], model.values.argmax(axis=1)


def labels(model: OneModel) -> tuple[Array, Array]:
    return model.labels, model.values >= 0.4


def numbers(model: OneModel) -> tuple[Array, Array]:
    return model.labels[:, 0] * 2 + 3, model.values[:, 0]


CASES: dict[str, tuple[Target, Callable[[OneModel], tuple[Array, Array]], Metric]] = {
    "accuracy": (THREE, classes, lambda true, answer: np.mean(true == answer)),
    "macro_f1 of classes": (
        with_metric(THREE, "macro_f1"),
        classes,
        lambda true, answer: f1_score(
            true, answer, average="macro", labels=np.unique(true), zero_division=0
        ),
    ),
    "micro_f1": (MANY, labels, lambda true, answer: f1_score(true, answer, average="micro")),
    "macro_f1": (
        with_metric(MANY, "macro_f1"),
        labels,
        lambda true, answer: f1_score(true, answer, average="macro"),
    ),
    "subset_accuracy": (
        with_metric(MANY, "subset_accuracy"),
        labels,
        lambda true, answer: np.mean((true == answer).all(axis=1)),
    ),
    "mean_average_precision": (
        with_metric(MANY, "mean_average_precision"),
        lambda model: (model.labels, model.values),
        lambda true, values: average_precision_score(true, values, average="macro"),
    ),
    "pearson": (STARS, numbers, lambda true, answer: pearsonr(true, answer).statistic),
    "spearman": (
        with_metric(STARS, "spearman"),
        numbers,
        lambda true, answer: spearmanr(true, answer).statistic,
    ),
    "r2": (with_metric(STARS, "r2"), numbers, r2_score),
    "quadratic_kappa": (
        with_metric(STARS, "quadratic_kappa"),
        numbers,
        lambda true, answer: cohen_kappa_score(
            np.rint(true).astype(int),
            np.rint(answer).astype(int),
            labels=np.arange(-20, 30),
            weights="quadratic",
        ),
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Any:
    return CASES[request.param]


def test_the_score_is_the_metric(case: Any) -> None:
    target, read, metric = case
    for model in models(target):
        assert model.score == pytest.approx(metric(*read(model)), abs=1e-9)


def test_a_weight_is_so_many_rows(case: Any) -> None:
    target, read, metric = case
    for seed, model in enumerate(models(target)):
        chosen = np.random.default_rng(seed).integers(0, ROWS, ROWS)
        weights = np.bincount(chosen, minlength=ROWS)[None].astype(float)
        true, answer = read(model)
        found = model._scores(weights)[0]
        assert found == pytest.approx(metric(true[chosen], answer[chosen]), abs=1e-9)


def test_the_interval_is_that_of_paired_resamples(case: Any) -> None:
    target, read, metric = case
    new, old = models(target)
    found = compare(new, old, samples=2000, seed=1)
    random, drawn = np.random.default_rng(2), []
    for _ in range(400):
        chosen = random.integers(0, ROWS, ROWS)
        of_new, of_old = ([part[chosen] for part in read(model)] for model in (new, old))
        drawn.append(metric(*of_new) - metric(*of_old))
    assert found.difference == pytest.approx(new.score - old.score)
    spread = np.std(drawn)
    for end, expected in zip(found.interval, np.quantile(drawn, [0.025, 0.975]), strict=True):
        assert end == pytest.approx(expected, abs=0.5 * spread)
    assert compare(new, new, samples=100, seed=1).interval == (0, 0)


def test_the_randomisation_test_by_all_swaps() -> None:
    """Of nine rows there are 512 ways to swap: the share that is as far apart as the observed."""
    new, old = (
        dataclasses.replace(model, values=model.values[:9], labels=model.labels[:9])
        for model in models(MANY, seed=3)
    )
    observed, as_far = abs(new.score - old.score), 0
    for swap in itertools.product([False, True], repeat=9):
        rows = np.array(swap)[:, None]
        one = dataclasses.replace(new, values=np.where(rows, old.values, new.values))
        other = dataclasses.replace(old, values=np.where(rows, new.values, old.values))
        as_far += abs(one.score - other.score) >= observed - 1e-12
    assert randomisation(new, old, samples=20_000, seed=0) == pytest.approx(as_far / 512, abs=0.02)
    assert randomisation(new, new, samples=100, seed=0) == 1.0


def test_which_test_there_is(case: Any) -> None:
    target, _, _ = case
    test = compare(*models(target), samples=200, seed=0).test
    expected = {
        "accuracy": "McNemar's test",
        "subset_accuracy": "McNemar's test",
        "mean_average_precision": None,
        "spearman": None,
    }.get(target.metric, "paired randomisation test")
    assert (test.name if test else None) == expected


@pytest.mark.parametrize(
    ("difference", "interval", "p_value", "worse"),
    [
        (-0.1, (-0.2, 0.0), 0.04, True),
        (-0.1, (-0.2, 0.0), 0.06, False),
        (0.1, (0.0, 0.2), 0.04, False),
        (-0.1, (-0.2, -0.01), None, True),
        (-0.1, (-0.2, 0.01), None, False),
    ],
)
def test_significantly_worse(
    difference: float, interval: tuple[float, float], p_value: float | None, worse: bool
) -> None:
    test = None if p_value is None else PairedTest(name="a test", p_value=p_value, counts={})
    found = Compared(new=0.5, old=0.6, difference=difference, interval=interval, test=test)
    assert found.significantly_worse is worse


@pytest.mark.parametrize("target", [THREE, with_metric(THREE, "macro_f1"), MANY], ids=str)
def test_the_order_of_the_outputs_does_not_matter(target: Target) -> None:
    new, old = models(target)
    order = [2, 0, 1]
    other = dataclasses.replace(target, outputs=tuple(target.outputs[index] for index in order))
    labels = (
        old.labels[:, order]
        if target.kind == "multi_label"
        else np.argsort(order)[old.labels.astype(int)]
    )
    turned = OneModel(target=other, values=old.values[:, order], labels=labels)
    assert compare(new, turned, samples=300, seed=0) == compare(new, old, samples=300, seed=0)
    assert new.apart(turned).tolist() == new.apart(old).tolist()
    assert turned.recognised == old.recognised


def test_a_constant_number_has_no_correlation() -> None:
    new, old = models(STARS)
    constant = dataclasses.replace(old, values=np.full((ROWS, 1), 2.5))
    assert constant.score == 0.0
    assert compare(new, constant, samples=100, seed=0).difference == new.score


def test_answers_and_labels_in_words() -> None:
    thresholds = OneModel(
        target=dataclasses.replace(EMOTIONS, facts={"threshold": 0.5}),
        values=np.array([[0.9, 0.6], [0.1, 0.2]]),
        labels=np.array([[1.0, 0.0], [0.0, 0.0]]),
    )
    assert thresholds.decided.tolist() == ["grief, joy", ""]
    assert thresholds.truth.tolist() == ["joy", ""]
    assert thresholds.recognised == {"joy": (1, 1), "grief": (0, 0)}
    number = OneModel(target=STARS, values=np.array([[4.25]]), labels=np.array([[np.float32(0.6)]]))
    assert (number.decided.tolist(), number.truth.tolist()) == ([4.25], [4.2])
    assert number.certainty is None
