"""The models that table and picture show, each with its figures and its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.study.results import (
    CONSTANT,
    MAJORITY,
    MODEL2VEC,
    STUDENT,
    TEACHER,
    TEACHER_INT8,
    TFIDF,
    UNDISTILLED,
    Result,
    Timing,
)
from benchmarks.study.statistics import MEAN, Figures, Key
from benchmarks.study.study_plan import DEFAULT, Plan
from decant.inference.latency import Speedup

CONTROL = "control"
# The controls of every study: those beside the default, and those that depend on the data alone.
_CONTROLS: Mapping[Key, str] = {
    (DEFAULT, UNDISTILLED): "undistilled",
    ("", TFIDF): "TF-IDF",
    ("", MODEL2VEC): "Model2Vec",
    ("", MAJORITY): "commonest class",
    ("", CONSTANT): "constant answer",
    (DEFAULT, TEACHER): "teacher",
    (DEFAULT, TEACHER_INT8): "teacher, int8",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model on one data set, or on the mean of all.

    Attributes:
        complete: that it was measured with every seed of the study, or has none.
        timing: of the mean: mean times, geometric means of the ratios.
    """

    key: Key
    name: str
    factor: str
    control: bool
    complete: bool
    figures: Figures
    timing: Timing | None
    size_bytes: float | None

    @property
    def share_of_teacher(self) -> float | None:
        """Its time divided by the teacher's."""
        faster = self.timing.faster if self.timing else None
        return 1 / faster.median if faster else None


def summarise(
    plan: Plan, results: Sequence[Result], figures: Mapping[str, Mapping[Key, Figures]]
) -> dict[str, list[Entry]]:
    """Per data set, and under MEAN, the entries in the order of the study file, controls last."""
    return {data: _entries(plan, results, data, found) for data, found in figures.items()}


def best_under(entries: Sequence[Entry], bound: float) -> Entry | None:
    """The one with the best score on validation among the complete entries that are not controls.

    Args:
        bound: largest share of the teacher's latency. Of equally good ones the fastest wins.
    """
    allowed = [
        entry
        for entry in entries
        if not entry.control
        and entry.complete
        and entry.share_of_teacher is not None
        and entry.share_of_teacher <= bound
    ]
    return max(
        allowed,
        key=lambda entry: (entry.figures.validation, -(entry.share_of_teacher or 0)),
        default=None,
    )


def entry_of(entries: Sequence[Entry], key: Key) -> Entry | None:
    return next((entry for entry in entries if entry.key == key), None)


def _entries(
    plan: Plan, results: Sequence[Result], data: str, found: Mapping[Key, Figures]
) -> list[Entry]:
    shown: dict[Key, tuple[str, str, bool]] = {(DEFAULT, STUDENT): (DEFAULT, DEFAULT, False)}
    for variant in list(plan.variants.values())[1:]:
        shown[variant.name, variant.model] = (variant.name, variant.factor, variant.control)
    shown |= {key: (name, CONTROL, True) for key, name in _CONTROLS.items()}
    entries = []
    for key, (name, factor, control) in shown.items():
        if key not in found:
            continue
        own = [r for r in results if r.key == key and data in (r.data, MEAN)]
        entries.append(
            Entry(
                key=key,
                name=name,
                factor=factor,
                control=control,
                complete=found[key].seeds in ((), tuple(plan.seeds)),
                figures=found[key],
                timing=_mean_timing(own),
                size_bytes=_mean([result.size_bytes for result in own]),
            )
        )
    return entries


def _mean_timing(results: Sequence[Result]) -> Timing | None:
    """Over the data sets; None where a time is missing."""
    timings = [timing for r in {r.data: r for r in results}.values() if (timing := r.timing)]
    if not timings or len(timings) < len({result.data for result in results}):
        return None
    if len(timings) == 1:
        return timings[0]
    end_to_end = _mean([timing.end_to_end_us for timing in timings])
    assert end_to_end is not None
    return Timing(
        model_us=_mean([timing.model_us for timing in timings]),
        end_to_end_us=end_to_end,
        faster_model=_geometric([timing.faster_model for timing in timings]),
        faster_end_to_end=_geometric([timing.faster_end_to_end for timing in timings]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there and len(there) == len(values) else None


def _geometric(ratios: Sequence[Speedup | None]) -> Speedup | None:
    there = [(r.median, r.low, r.high) for r in ratios if r is not None]
    if not there or len(there) < len(ratios):
        return None
    median, low, high = np.exp(np.log(there).mean(axis=0))
    return Speedup(float(median), float(low), float(high))
