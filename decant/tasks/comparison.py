"""Two models on the same rows of a target: their scores, a paired interval and a paired test.

A kind's comparison.py has, with values (rows, W) as answers.py gives them and labels (rows, E) as
labels.py encodes them, of the rows whose label is known, and target with what the model decided:

    recorded(target)                    the columns of predictions.parquet with the values, without
                                        MODEL_ or MODEL_TARGET_ in front
    right(values, labels, target)       (rows,) bool where the metric is the share of right rows,
                                        else None
    statistics(values, labels, target)  (rows, S), whose sums over the rows give the metric, in the
                                        same order for any order of the outputs; None for a metric
                                        that goes by ranks
    score(sums, target)                 (n,), the metric of such sums (n, S)
    ranked(values, labels, target, weights)
                                        (n,), a metric that goes by ranks, where row i counts
                                        weights[:, i] times
    details(values, labels, target)     other figures by name, in JSON's types; `ece` among them
                                        where there are probabilities
    shown(details)                      figures for people: texts by a title
    recognised(values, labels, target)  per output of which rows can be right: how many have it,
                                        and of how many of these it is answered; {} for none
    decided(values, target)             (rows,) the answer as a text or a number
    certainty(values, target)           (rows,) of that answer, 0 to 1; None without probabilities
    truth(labels, target)               (rows,) the label as `decided` would have it
    apart(values, others, target, other)
                                        (rows,) how much the answers of two models differ, 0 where
                                        they are the same
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from decant.figures.figure_set import Interval
from decant.tasks.kinds import part
from decant.tasks.task import Target, Task

Values = NDArray[np.floating[Any]]
Labels = NDArray[np.number[Any]]

_LEVEL = 0.95
_CELLS_AT_ONCE = 1 << 23  # of drawn weights: 64 MiB
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class OneModel:
    """One model's answers to one target on the rows whose label is known.

    Attributes:
        target: with what the model decided on validation rows.
        values: (rows, W) as answers.values gives them.
        labels: (rows, E) as labels.encode gives them for this target.
    """

    target: Target
    values: Values
    labels: Labels

    @property
    def score(self) -> float:
        """The target's metric; 0 where it is not defined, as the correlation of a constant."""
        return float(self._scores(np.ones((1, len(self.values))))[0])

    @property
    def details(self) -> dict[str, Any]:
        """Other figures of the kind."""
        found: dict[str, Any] = self._kind.details(self.values, self.labels, self.target)
        return found

    @property
    def recognised(self) -> dict[str, tuple[int, int]]:
        """Per class or label the rows that have it, and those of them where it is answered."""
        found: dict[str, tuple[int, int]] = self._kind.recognised(
            self.values, self.labels, self.target
        )
        return found

    @property
    def right(self) -> NDArray[np.bool_] | None:
        """(rows,), where the metric is the share of right rows."""
        found: NDArray[np.bool_] | None = self._kind.right(self.values, self.labels, self.target)
        return found

    @property
    def statistics(self) -> NDArray[np.float64] | None:
        """(rows, S), or None for a metric that goes by ranks."""
        found = self._kind.statistics(self.values, self.labels, self.target)
        return None if found is None else np.asarray(found, dtype=np.float64)

    @property
    def decided(self) -> NDArray[Any]:
        """(rows,), the answers as texts or numbers."""
        return np.asarray(self._kind.decided(self.values, self.target))

    @property
    def certainty(self) -> NDArray[Any] | None:
        """(rows,), the probabilities of the answers; None of a kind without."""
        found: NDArray[Any] | None = self._kind.certainty(self.values, self.target)
        return found

    @property
    def truth(self) -> NDArray[Any]:
        """(rows,), the labels as `decided` would have them."""
        return np.asarray(self._kind.truth(self.labels, self.target))

    def apart(self, other: "OneModel") -> NDArray[Any]:
        """(rows,), how much its answers and another's differ, 0 where they are the same."""
        return np.asarray(self._kind.apart(self.values, other.values, self.target, other.target))

    def score_of(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """The metric (n,) of sums of statistics (n, S)."""
        return np.asarray(np.nan_to_num(self._kind.score(sums, self.target)))

    def ranked(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The metric (n,), one that goes by ranks, under weights (n, rows)."""
        found = self._kind.ranked(self.values, self.labels, self.target, weights)
        return np.asarray(np.nan_to_num(found))

    def _scores(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        statistics = self.statistics
        return self.ranked(weights) if statistics is None else self.score_of(weights @ statistics)

    @property
    def _kind(self) -> Any:
        return part(self.target.kind, "comparison")


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Whether chance explains the difference.

    Attributes:
        name: of the test.
        p_value: two-sided.
        counts: rows that only one of the two has right, `only_new` and `only_old`; of McNemar's.
    """

    name: str
    p_value: float
    counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The new model against the old one.

    Attributes:
        difference: new score minus old, with its paired 95 % interval.
        test: None for a metric that goes by ranks: the interval decides there.
    """

    new: float
    old: float
    difference: float
    interval: Interval
    test: PairedTest | None

    @property
    def significantly_worse(self) -> bool:
        """At 5 %, by the test, or without one by the interval."""
        if self.test is None:
            return self.interval[1] < 0
        return self.difference < 0 and self.test.p_value < 1 - _LEVEL


def recorded_columns(task: Task, model: str) -> dict[str, list[str]]:
    """Per target the columns of predictions.parquet that have a model's values."""
    found = {}
    for target in task.targets:
        start = model if len(task.targets) == 1 else f"{model}_{target.name}"
        names = part(target.kind, "comparison").recorded(target)
        found[target.name] = [f"{start}_{name}" for name in names]
    return found


def shown(target: Target, details: Mapping[str, Any]) -> dict[str, str]:
    """A kind's other figures for people: texts by a title."""
    found: dict[str, str] = part(target.kind, "comparison").shown(details)
    return found


def compare(new: OneModel, old: OneModel, *, samples: int, seed: int) -> Compared:
    """On the same rows in the same order.

    Args:
        samples: resamples of the rows behind the interval, and draws behind the test.
    """
    drawn = _resampled_differences(new, old, samples, seed)
    low, high = np.quantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    score, other = new.score, old.score
    return Compared(
        new=score,
        old=other,
        difference=score - other,
        interval=(float(low), float(high)),
        test=_paired_test(new, old, samples, seed),
    )


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value: of n rows that one alone has right, either is as likely.

    Source: McNemar 1947; the exact form in Dietterich 1998, Approximate Statistical Tests.
    """
    discordant = only_one + only_other
    return float(binomtest(only_one, discordant, 0.5).pvalue) if discordant else 1.0


def randomisation(new: OneModel, old: OneModel, *, samples: int, seed: int) -> float:
    """The two-sided p-value of a difference of metrics that follow from sums over the rows.

    Each draw swaps the answers of the two models in half of the rows, at random; the p-value is
    the share of draws with at least the observed difference. Source: Noreen 1989; for F1 Yeh 2000,
    More accurate tests for the statistical significance of result differences.
    """
    one, other = new.statistics, old.statistics
    assert one is not None and other is not None
    observed = _difference(new, old, one.sum(axis=0), other.sum(axis=0))[0]
    swap = (other - one)[(other != one).any(axis=1)]
    if not len(swap):
        return 1.0
    random = np.random.default_rng(seed)
    as_extreme = 0
    for size in _blocks(samples, len(swap)):
        moved = random.integers(0, 2, (size, len(swap))).astype(np.float64) @ swap
        drawn = _difference(new, old, one.sum(axis=0) + moved, other.sum(axis=0) - moved)
        as_extreme += int((np.abs(drawn) >= abs(observed) - _ROUNDING).sum())
    return (1 + as_extreme) / (1 + samples)


def _paired_test(new: OneModel, old: OneModel, samples: int, seed: int) -> PairedTest | None:
    one, other = new.right, old.right
    if one is not None and other is not None:
        only_new, only_old = int((one & ~other).sum()), int((other & ~one).sum())
        return PairedTest(
            name="McNemar's test",
            p_value=mcnemar(only_new, only_old),
            counts={"only_new": only_new, "only_old": only_old},
        )
    if new.statistics is None:
        return None
    p_value = randomisation(new, old, samples=samples, seed=seed)
    return PairedTest(name="paired randomisation test", p_value=p_value, counts={})


def _resampled_differences(
    new: OneModel, old: OneModel, samples: int, seed: int
) -> NDArray[np.float64]:
    """Differences (samples,) of the scores over the same resamples of the rows.

    Drawing n of n rows with replacement is one draw from a multinomial over the rows, or over the
    distinct patterns of the statistics, which are few where these are counts.
    """
    rows, one, other = len(new.values), new.statistics, old.statistics
    of_weights: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    counts: NDArray[Any]
    if one is None or other is None:
        counts = np.ones(rows)

        def of_weights(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return new.ranked(weights) - old.ranked(weights)

    else:
        patterns, counts = np.unique(np.hstack([one, other]), axis=0, return_counts=True)
        width = one.shape[1]

        def of_weights(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            sums = weights @ patterns
            return _difference(new, old, sums[:, :width], sums[:, width:])

    random = np.random.default_rng(seed)
    shares = counts / rows
    return np.concatenate(
        [
            of_weights(random.multinomial(rows, shares, size=size).astype(np.float64))
            for size in _blocks(samples, len(counts))
        ]
    )


def _difference(
    new: OneModel, old: OneModel, one: NDArray[np.float64], other: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of sums of statistics (n, S) or (S,)."""
    return new.score_of(np.atleast_2d(one)) - old.score_of(np.atleast_2d(other))


def _blocks(samples: int, width: int) -> Iterator[int]:
    """Numbers that add up to `samples`, each small enough for memory."""
    size = max(1, _CELLS_AT_ONCE // max(1, width))
    for start in range(0, samples, size):
        yield min(size, samples - start)
