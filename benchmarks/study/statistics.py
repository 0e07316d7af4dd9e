"""Means, spreads and paired intervals of a study's models.

Resampled are the rows of a split and the seeds: n of n with replacement, the same ones for all
models of a data set (paired), and for each data set its own. So an interval shows how far other
rows of the same kind and other seeds could move a figure. (Of three seeds there are only ten draws:
the part of the seeds is an estimate.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.metrics import score_text
from benchmarks.study.results import STUDENT, TEACHER, Result, Scored, metrics_by_data
from benchmarks.study.study_plan import DEFAULT
from components.evaluate.bootstrap import interval, ratio, resampled_scores
from decant.figures.figure_set import Interval
from decant.figures.figure_text import ScoreText

Key = tuple[str, str]  # variant and model
# Two measurements of one model's latency differ by so much.
EQUAL_LATENCY = 1.1
BASELINE: Key = (DEFAULT, STUDENT)
MEAN = "(mean)"  # no data set can be called so
TEACHER_KEY: Key = (DEFAULT, TEACHER)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A model on one data set or on the mean of several.

    Attributes:
        metric: how its scores are named and written.
        seeds: that were averaged; none for a model without a seed.
        score, validation: on the test and the validation rows, means over the seeds.
        spread: standard deviation of the test score over the seeds (n - 1); None below two.
        validation_spread: the same of the validation score.
        difference: to the default, over the seeds that both have, and its interval.
        validation_difference: the same on the validation rows, by which a choice may be made.
        retention: share of the score of the default's teacher with the same seed, averaged, and
            its standard deviation over the seeds.
    """

    metric: ScoreText
    seeds: tuple[int, ...]
    score: float
    score_interval: Interval | None
    validation: float
    spread: float | None
    validation_spread: float | None
    difference: float | None
    difference_interval: Interval | None
    validation_difference: float | None
    validation_interval: Interval | None
    retention: float | None
    retention_interval: Interval | None
    retention_spread: float | None


@dataclass(frozen=True)
class _Split:
    """Scores per seed (None: no seed): as they are, and over the resamples (samples,)."""

    score: dict[int | None, float] = field(default_factory=dict)
    resampled: dict[int | None, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sample:
    test: _Split = field(default_factory=_Split)
    validation: _Split = field(default_factory=_Split)


def study_figures(
    results: Sequence[Result], *, samples: int, seed: int
) -> dict[str, dict[Key, Figures]]:
    """Per data set the figures of every model measured there.

    With two or more data sets also, under MEAN, of the models that all of them have, each data set
    counting the same; not where they have different metrics, whose mean would say nothing. A
    student for one target alone is not among them.
    """
    compared = [result for result in results if result.alone is None]
    judged_by = metrics_by_data(compared)
    by_data = _samples(compared, samples, seed)
    figures = {
        data: _figures([models], score_text(judged_by[data])) for data, models in by_data.items()
    }
    if len(by_data) > 1 and len(metrics := {*judged_by.values()}) == 1:
        figures[MEAN] = _figures(list(by_data.values()), score_text(metrics.pop()))
    return figures


def pareto_front(points: Sequence[tuple[float, float]], *, equal: float = 1.0) -> list[int]:
    """Indices of the points (cost, gain) that no other beats, by rising cost.

    A point is beaten by one that gains more and does not cost more than `equal` times as much, and
    by one that gains as much and costs less.

    Args:
        equal: ratio of two costs that measurement cannot distinguish, 1 or more.
    """

    def beaten(cost: float, gain: float) -> bool:
        return any(
            (other_gain > gain and other_cost <= cost * equal)
            or (other_gain == gain and other_cost < cost)
            for other_cost, other_gain in points
        )

    front = [index for index, point in enumerate(points) if not beaten(*point)]
    return sorted(front, key=lambda index: points[index])


def _samples(results: Sequence[Result], samples: int, seed: int) -> dict[str, dict[Key, _Sample]]:
    found: dict[str, dict[Key, _Sample]] = {}
    for index, data in enumerate(dict.fromkeys(result.data for result in results)):
        here = [result for result in results if result.data == data]
        models: dict[Key, _Sample] = {}
        for split in ("test", "validation"):
            scored: list[Scored] = [getattr(result, split) for result in here]
            # The rows of one data set are independent of another's.
            drawn = resampled_scores(
                scored[0].task,
                {str(number): one.targets for number, one in enumerate(scored)},
                scored[0].known,
                samples=samples,
                seed=seed + index,
            )
            for number, result in enumerate(here):
                own = getattr(models.setdefault(result.key, _Sample()), split)
                own.score[result.seed] = scored[number].score
                own.resampled[result.seed] = drawn[str(number)].score
        found[data] = models
    return found


def _figures(data_sets: Sequence[Mapping[Key, _Sample]], metric: ScoreText) -> dict[Key, Figures]:
    """Of the models that all the data sets have with at least one common seed."""
    if not data_sets:
        return {}
    common = [key for key in data_sets[0] if all(key in models for models in data_sets)]
    figures = {}
    for key in common:
        if _common_seeds([models[key].test for models in data_sets]):
            figures[key] = _one(key, data_sets, metric)
    return figures


def _one(key: Key, data_sets: Sequence[Mapping[Key, _Sample]], metric: ScoreText) -> Figures:
    def splits(of: Key, name: str) -> list[_Split]:
        return [getattr(models[of], name) for models in data_sets if of in models]

    test, validation = splits(key, "test"), splits(key, "validation")
    seeds = _common_seeds(test)
    per_seed, per_seed_on_validation = (
        [float(np.mean([split.score[seed] for split in own])) for seed in seeds]
        for own in (test, validation)
    )
    drawn = [[split.resampled[seed] for seed in seeds] for split in test]
    difference, difference_interval = _difference(test, splits(BASELINE, "test"))
    on_validation, validation_interval = _difference(validation, splits(BASELINE, "validation"))
    retention, retention_interval, retention_spread = _retention(test, splits(TEACHER_KEY, "test"))
    return Figures(
        metric=metric,
        seeds=tuple(seed for seed in seeds if seed is not None),
        score=float(np.mean(per_seed)),
        score_interval=interval(over_seeds(drawn)),
        validation=float(np.mean(per_seed_on_validation)),
        spread=spread(per_seed),
        validation_spread=spread(per_seed_on_validation),
        difference=difference,
        difference_interval=difference_interval,
        validation_difference=on_validation,
        validation_interval=validation_interval,
        retention=retention,
        retention_interval=retention_interval,
        retention_spread=retention_spread,
    )


def _difference(
    own: Sequence[_Split], baselines: Sequence[_Split]
) -> tuple[float | None, Interval | None]:
    pairs = _pairs(own, baselines)
    if not pairs:
        return None, None
    value = np.mean([a.score[s] - b.score[t] for row in pairs for a, s, b, t in row])
    drawn = [[a.resampled[s] - b.resampled[t] for a, s, b, t in row] for row in pairs]
    return float(value), interval(over_seeds(drawn))


def _retention(
    own: Sequence[_Split], teachers: Sequence[_Split]
) -> tuple[float | None, Interval | None, float | None]:
    pairs = _pairs(own, teachers)
    if not pairs or any(b.score[t] <= 0 for row in pairs for _, _, b, t in row):
        return None, None, None
    shares = np.array([[a.score[s] / b.score[t] for a, s, b, t in row] for row in pairs])
    values = shares.mean(axis=0).tolist()
    drawn = [[ratio(a.resampled[s], b.resampled[t]) for a, s, b, t in row] for row in pairs]
    return float(np.mean(values)), interval(over_seeds(drawn)), spread(values)


def over_seeds(drawn: Sequence[Sequence[NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Mean over data sets and drawn seeds, (samples,).

    Args:
        drawn: per data set and seed the resamples of a figure. Which seeds a resample draws depends
            on the data set and on how many seeds there are alone, so all models draw the same.
    """
    means = []
    for index, per_seed in enumerate(drawn):
        values = np.stack(per_seed)  # (seeds, samples)
        count, samples = values.shape
        random = np.random.default_rng([index, count])
        weights = random.multinomial(count, np.full(count, 1 / count), size=samples) / count
        means.append((values * weights.T).sum(axis=0))
    averaged: NDArray[np.float64] = np.mean(means, axis=0)
    return averaged


def spread(per_seed: Sequence[float]) -> float | None:
    return float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None


def _pairs(
    own: Sequence[_Split], others: Sequence[_Split]
) -> list[list[tuple[_Split, int | None, _Split, int | None]]]:
    """Per data set both models' seeds: the same ones; one without a seed goes with all."""
    if len(others) < len(own):
        return []
    first, second = _common_seeds(own), _common_seeds(others)
    if None in first:
        seeds: list[tuple[int | None, int | None]] = [(None, seed) for seed in second]
    elif None in second:
        seeds = [(seed, None) for seed in first]
    else:
        seeds = [(seed, seed) for seed in first if seed in second]
    if not seeds:
        return []
    return [[(a, s, b, t) for s, t in seeds] for a, b in zip(own, others, strict=True)]


def _common_seeds(splits: Sequence[_Split]) -> list[int | None]:
    return [seed for seed in splits[0].score if all(seed in s.score for s in splits)]
