"""Means, spreads and paired intervals of a study's models.

Resampled are the test rows: n of n with replacement, the same rows for all models and seeds of a
data set (paired), and for each data set its own. A figure is first averaged over the seeds, so its
interval says how far other test rows of the same kind could move it; how far other seeds could,
the standard deviation over the seeds says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluate.bootstrap import Interval, interval, ratio, resampled_accuracies
from pipelines.studies.plan import DEFAULT
from pipelines.studies.results import STUDENT, TEACHER, Result

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
        seeds: that were averaged; none for a model without a seed.
        accuracy, validation: means over the seeds.
        spread: standard deviation of the accuracy over the seeds (n - 1); None below two.
        difference: to the default, over the seeds that both have, and its interval.
        retention: share of the accuracy of the default's teacher with the same seed, averaged, and
            its standard deviation over the seeds.
    """

    seeds: tuple[int, ...]
    accuracy: float
    accuracy_interval: Interval | None
    validation: float
    spread: float | None
    difference: float | None
    difference_interval: Interval | None
    retention: float | None
    retention_interval: Interval | None
    retention_spread: float | None


@dataclass(frozen=True)
class _Sample:
    """Accuracies per seed (None: no seed): as they are, and over the resamples (samples,)."""

    accuracy: Mapping[int | None, float]
    validation: Mapping[int | None, float]
    resampled: Mapping[int | None, NDArray[np.float64]]


def study_figures(
    results: Sequence[Result], *, samples: int, seed: int
) -> dict[str, dict[Key, Figures]]:
    """Per data set the figures of every model measured there.

    With two or more data sets also, under MEAN, of the models that all of them have, each data set
    counting the same.
    """
    by_data = _samples(results, samples, seed)
    figures = {data: _figures([models]) for data, models in by_data.items()}
    if len(by_data) > 1:
        figures[MEAN] = _figures(list(by_data.values()))
    return figures


def pareto_front(points: Sequence[tuple[float, float]], *, equal: float = 1.0) -> list[int]:
    """Indices of the points (cost, gain) that no other beats, by rising cost.

    A point is beaten by one that gains more and does not cost more than `equal` times as much, and
    by one that gains as much and costs less.

    Args:
        equal: ratio of two costs that measurement cannot tell apart, 1 or more.
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
        drawn = resampled_accuracies(
            {str(number): result.test for number, result in enumerate(here)},
            samples=samples,
            seed=seed + index,  # one data set's rows say nothing of another's
        )
        models: dict[Key, _Sample] = {}
        for number, result in enumerate(here):
            sample = models.setdefault(result.key, _Sample({}, {}, {}))
            sample.accuracy[result.seed] = float(result.test.mean())  # type: ignore[index]
            sample.validation[result.seed] = float(result.validation.mean())  # type: ignore[index]
            sample.resampled[result.seed] = drawn[str(number)]  # type: ignore[index]
        found[data] = models
    return found


def _figures(data_sets: Sequence[Mapping[Key, _Sample]]) -> dict[Key, Figures]:
    """Of the models that all the data sets have with at least one common seed."""
    if not data_sets:
        return {}
    common = [key for key in data_sets[0] if all(key in models for models in data_sets)]
    figures = {}
    for key in common:
        own = [models[key] for models in data_sets]
        if seeds := _common_seeds(own):
            figures[key] = _one(own, seeds, data_sets)
    return figures


def _one(
    own: Sequence[_Sample],
    seeds: Sequence[int | None],
    data_sets: Sequence[Mapping[Key, _Sample]],
) -> Figures:
    per_seed = [float(np.mean([sample.accuracy[seed] for sample in own])) for seed in seeds]
    resampled = np.mean([sample.resampled[seed] for sample in own for seed in seeds], axis=0)
    difference, difference_interval = _difference(own, [m.get(BASELINE) for m in data_sets])
    teachers = [models.get(TEACHER_KEY) for models in data_sets]
    retention, retention_interval, retention_spread = _retention(own, teachers)
    return Figures(
        seeds=tuple(seed for seed in seeds if seed is not None),
        accuracy=float(np.mean(per_seed)),
        accuracy_interval=interval(resampled),
        validation=float(np.mean([sample.validation[seed] for sample in own for seed in seeds])),
        spread=_spread(per_seed),
        difference=difference,
        difference_interval=difference_interval,
        retention=retention,
        retention_interval=retention_interval,
        retention_spread=retention_spread,
    )


def _difference(
    own: Sequence[_Sample], baselines: Sequence[_Sample | None]
) -> tuple[float | None, Interval | None]:
    pairs = _pairs(own, baselines)
    if not pairs:
        return None, None
    value = np.mean([a.accuracy[s] - b.accuracy[t] for a, s, b, t in pairs])
    drawn = np.mean([a.resampled[s] - b.resampled[t] for a, s, b, t in pairs], axis=0)
    return float(value), interval(drawn)


def _retention(
    own: Sequence[_Sample], teachers: Sequence[_Sample | None]
) -> tuple[float | None, Interval | None, float | None]:
    pairs = _pairs(own, teachers)
    if not pairs or any(b.accuracy[t] == 0 for _, _, b, t in pairs):
        return None, None, None
    per_seed: dict[int | None, list[float]] = {}
    for a, s, b, t in pairs:
        per_seed.setdefault(t, []).append(a.accuracy[s] / b.accuracy[t])
    values = [float(np.mean(shares)) for shares in per_seed.values()]
    drawn = np.mean([ratio(a.resampled[s], b.resampled[t]) for a, s, b, t in pairs], axis=0)
    return float(np.mean(values)), interval(drawn), _spread(values)


def _spread(per_seed: Sequence[float]) -> float | None:
    return float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None


def _pairs(
    own: Sequence[_Sample], others: Sequence[_Sample | None]
) -> list[tuple[_Sample, int | None, _Sample, int | None]]:
    """Both models' seeds on every data set: the same ones; one without a seed goes with all."""
    there = [other for other in others if other is not None]
    if len(there) < len(others):
        return []
    first, second = _common_seeds(own), _common_seeds(there)
    if None in first:
        seeds: list[tuple[int | None, int | None]] = [(None, seed) for seed in second]
    elif None in second:
        seeds = [(seed, None) for seed in first]
    else:
        seeds = [(seed, seed) for seed in first if seed in second]
    return [(a, s, b, t) for a, b in zip(own, there, strict=True) for s, t in seeds]


def _common_seeds(samples: Sequence[_Sample]) -> list[int | None]:
    return [seed for seed in samples[0].accuracy if all(seed in s.accuracy for s in samples)]
