"""Means, spreads and paired intervals against other ways to compute them; the Pareto front."""

import numpy as np
import pytest

from benchmarks.study.results import Result
from benchmarks.study.statistics import MEAN, pareto_front, study_figures
from tests.benchmarks.study.scored import right_rows

SAMPLES = 20_000


def result(data: str, variant: str, seed: int | None, model: str, test: list[int]) -> Result:
    return Result(
        data=data,
        variant=variant,
        seed=seed,
        model=model,
        validation=right_rows(test[:2]),
        test=right_rows(test),
    )


RNG = np.random.default_rng(7)
ROWS = 400
DEFAULT = {seed: (RNG.random(ROWS) < 0.8).astype(int) for seed in (1, 2)}
TEACHER = {seed: (RNG.random(ROWS) < 0.9).astype(int) for seed in (1, 2)}
# Better on rows that the default gets wrong: pairs matter.
WIDE = {seed: DEFAULT[seed] | (RNG.random(ROWS) < 0.15) for seed in (1, 2)}
TFIDF = (RNG.random(ROWS) < 0.7).astype(int)
RESULTS = [
    *(result("d", "default", seed, "student", list(DEFAULT[seed])) for seed in (1, 2)),
    *(result("d", "default", seed, "teacher", list(TEACHER[seed])) for seed in (1, 2)),
    *(result("d", "wide", seed, "student", list(WIDE[seed])) for seed in (1, 2)),
    result("d", "", None, "tfidf", list(TFIDF)),
]


def bootstrap(statistic, rows: int = ROWS) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Rows and seeds drawn with replacement, everything computed anew on them."""
    draw = np.random.default_rng(99)
    values = [statistic(draw.integers(0, rows, rows), draw.integers(1, 3, 2)) for _ in range(6000)]
    return tuple(np.quantile(values, [0.025, 0.975]))


def test_means_spread_and_difference_by_hand() -> None:
    figures = study_figures(
        [
            result("d", "default", 1, "student", [1, 1, 0, 0]),
            result("d", "default", 2, "student", [1, 1, 1, 0]),
            result("d", "default", 1, "teacher", [1, 1, 1, 1]),
            result("d", "default", 2, "teacher", [1, 1, 1, 0]),
            result("d", "wide", 1, "student", [1, 1, 1, 0]),
            result("d", "wide", 2, "student", [1, 1, 1, 1]),
            result("d", "wide", 3, "student", [0, 0, 0, 0]),
        ],
        samples=200,
        seed=0,
    )["d"]
    default, wide = figures["default", "student"], figures["wide", "student"]
    assert default.seeds == (1, 2)
    assert default.score == pytest.approx((0.5 + 0.75) / 2)
    assert default.validation == 1.0
    assert default.spread == pytest.approx(np.sqrt(0.125**2 * 2))  # n - 1 = 1
    assert default.difference == 0
    assert default.retention == pytest.approx((0.5 / 1 + 0.75 / 0.75) / 2)
    assert wide.score == pytest.approx((0.75 + 1 + 0) / 3)
    assert wide.difference == pytest.approx(0.25)  # seed 3 has no pair
    assert figures["default", "teacher"].retention == 1


def test_the_paired_interval_is_that_of_a_plain_bootstrap() -> None:
    figures = study_figures(RESULTS, samples=SAMPLES, seed=0)["d"]
    delta = {s: WIDE[s] - DEFAULT[s] for s in (1, 2)}
    expected = bootstrap(lambda rows, seeds: np.mean([delta[s][rows].mean() for s in seeds]))
    assert figures["wide", "student"].difference_interval == pytest.approx(expected, abs=0.003)
    # Unpaired it would be much wider: the rows are the same for both models.
    unpaired = 2 * 1.96 * np.sqrt(2 * 0.8 * 0.2 / ROWS)
    low, high = expected
    assert high - low < 0.6 * unpaired


def test_retention_is_resampled_with_its_own_teacher() -> None:
    figures = study_figures(RESULTS, samples=SAMPLES, seed=0)["d"]

    def retention(rows: np.ndarray, seeds: np.ndarray) -> float:
        return float(np.mean([WIDE[s][rows].mean() / TEACHER[s][rows].mean() for s in seeds]))

    wide = figures["wide", "student"]
    assert wide.retention == pytest.approx(retention(np.arange(ROWS), np.array([1, 2])))
    assert wide.retention_interval == pytest.approx(bootstrap(retention), abs=0.004)


def test_a_control_without_a_seed_is_paired_with_every_seed() -> None:
    tfidf = study_figures(RESULTS, samples=SAMPLES, seed=0)["d"]["", "tfidf"]
    delta = {s: TFIDF - DEFAULT[s] for s in (1, 2)}
    assert tfidf.seeds == ()
    assert tfidf.spread is None
    assert tfidf.difference == pytest.approx((delta[1].mean() + delta[2].mean()) / 2)
    expected = bootstrap(lambda rows, seeds: np.mean([delta[s][rows].mean() for s in seeds]))
    assert tfidf.difference_interval == pytest.approx(expected, abs=0.004)


def test_the_mean_counts_every_data_set_the_same_and_draws_each_for_itself() -> None:
    rows = 100
    other = {
        (variant, seed): (RNG.random(rows) < share).astype(int)
        for variant, share in (("default", 0.6), ("wide", 0.65))
        for seed in (1, 2)
    }
    more = [result("e", v, s, "student", list(test)) for (v, s), test in other.items()]
    figures = study_figures(RESULTS + more, samples=SAMPLES, seed=0)
    assert ("", "tfidf") not in figures[MEAN]  # not measured on e
    wide = figures[MEAN]["wide", "student"]
    per_seed = [(WIDE[s].mean() + other["wide", s].mean()) / 2 for s in (1, 2)]
    assert wide.score == pytest.approx(np.mean(per_seed))
    assert wide.spread == pytest.approx(np.std(per_seed, ddof=1))
    assert wide.retention is None  # e has no teacher

    d = {s: WIDE[s] - DEFAULT[s] for s in (1, 2)}
    e = {s: other["wide", s] - other["default", s] for s in (1, 2)}
    draw = np.random.default_rng(5)

    def drawn(delta: dict[int, np.ndarray], rows: int) -> float:
        chosen, seeds = draw.integers(0, rows, rows), draw.integers(1, 3, 2)
        return float(np.mean([delta[s][chosen].mean() for s in seeds]))

    values = [(drawn(d, ROWS) + drawn(e, rows)) / 2 for _ in range(6000)]
    expected = np.quantile(values, [0.025, 0.975])
    assert wide.difference_interval == pytest.approx(tuple(expected), abs=0.005)


def test_the_pareto_front_by_hand() -> None:
    #          beaten by 3    stays       beaten by 1  stays     beaten: as good, dearer
    points = [(2.0, 5.0), (1.0, 3.0), (1.5, 3.0), (1.9, 6.0), (4.0, 6.0), (5.0, 9.0)]
    assert pareto_front(points) == [1, 3, 5]
    assert pareto_front([]) == []
    assert pareto_front([(1.0, 1.0), (1.0, 1.0)]) == [0, 1]


def test_costs_that_cannot_be_distinguished_are_equal_for_the_front() -> None:
    points = [(100.0, 5.0), (104.0, 6.0), (120.0, 7.0)]
    assert pareto_front(points) == [0, 1, 2]
    assert pareto_front(points, equal=1.05) == [1, 2]
    assert pareto_front([(100.0, 5.0), (104.0, 5.0)], equal=1.05) == [0]


def test_variants_are_compared_on_the_validation_rows() -> None:
    def on(validation: list[int], variant: str, seed: int) -> Result:
        return Result(
            data="d",
            variant=variant,
            seed=seed,
            model="student",
            validation=right_rows(validation),
            test=right_rows([0, 0, 0]),
        )

    found = [on([1, 0, 0, 0], "default", 1), on([1, 1, 0, 0], "default", 2)]
    found += [on([1, 1, 1, 1], "wide", 1), on([1, 1, 1, 0], "wide", 2)]
    wide = study_figures(found, samples=200, seed=0)["d"]["wide", "student"]
    assert wide.validation_difference == pytest.approx((0.75 + 0.25) / 2)
    assert wide.validation_spread == pytest.approx(np.std([1, 0.75], ddof=1))
    assert wide.validation_interval is not None
    assert 0 <= wide.validation_interval[0] < 0.5 < wide.validation_interval[1] <= 1
    assert wide.difference == 0
