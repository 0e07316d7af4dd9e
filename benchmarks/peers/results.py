"""The figures of a run of the benchmark: one file, and one table of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.cold_start import ColdStart
from benchmarks.peers.entries import ENTRIES

THREADS = ("1", "all")
CALLS = ("one", "batch")
_TITLE = "# All figures of the peers"
_HEAD = (
    "model",
    "accuracy",
    "1 text: p50",
    "p95",
    "p99",
    "teacher's time / its",
    "in batches: p50",
    "teacher's time / its",
    "all cores: 1 text",
    "in batches",
    "size",
    "memory",
    "cold start",
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An entry's figures.

    Attributes:
        accuracy: on all test rows, 0 to 1; None of random weights.
        same_labels: of the test rows, the share with the label of the entry that it is like.
        size_bytes: of the files that it is opened from.
        times: by the number of threads ("1", "all") and the kind of call ("one", "batch"), see
            timed.times_of.
    """

    name: str
    accuracy: float | None
    same_labels: float | None
    size_bytes: int
    cold_start: ColdStart
    times: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @property
    def title(self) -> str:
        """Of the entry."""
        return ENTRIES[self.name].title

    def p50_us(self, threads: str = "1", calls: str = "one") -> float:
        """Median microseconds per text."""
        return float(self.times[threads][calls]["p50_us"])


def accuracy(labels: Sequence[str], right: Sequence[str | None]) -> float:
    """Share of the rows with a label; the others do not count."""
    known = [(one, other) for one, other in zip(labels, right, strict=True) if other is not None]
    return sum(one == other for one, other in known) / len(known)


def markdown(measured: Sequence[Measured], skipped: Mapping[str, str], facts: str) -> str:
    """The table, what is not in it and why, and which labels differ.

    Args:
        skipped: reasons by entry.
        facts: of rows and machine, a sentence.
    """
    rows = [_HEAD, ("---", *["---:"] * (len(_HEAD) - 1)), *map(_cells, measured)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    notes = [
        f"Microseconds per text, on one thread where no more is said; megabytes; seconds. {facts} "
        "Ratios are medians over blocks of calls, with their 5 % to 95 % range. Memory is that of "
        "a process after its first answer."
    ]
    notes += [
        f"- {one.title}: {one.same_labels:.2%} of the labels are those of "
        f"*{ENTRIES[ENTRIES[one.name].alike].title}*."
        for one in measured
        if one.same_labels is not None
    ]
    notes += [f"- not measured: {ENTRIES[name].title}: {why}" for name, why in skipped.items()]
    return "\n".join([_TITLE, "", *lines, "", notes[0], "", *notes[1:]]) + "\n"


def _cells(one: Measured) -> tuple[str, ...]:
    single, batch = (one.times["1"][calls] for calls in CALLS)
    memory = one.cold_start.pss_bytes or one.cold_start.rss_bytes
    return (
        one.title,
        "" if one.accuracy is None else f"{one.accuracy:.1%}",
        *(_us(single[f"p{percentile}_us"]) for percentile in (50, 95, 99)),
        _ratio(single["faster_than_teacher"]),
        _us(batch["p50_us"]),
        _ratio(batch["faster_than_teacher"]),
        _us(one.p50_us("all", "one")),
        _us(one.p50_us("all", "batch")),
        f"{one.size_bytes / 1e6:.1f}",
        f"{memory / 1e6:.0f}",
        f"{one.cold_start.seconds:.2f}",
    )


def _us(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(found: Sequence[float] | None) -> str:
    if found is None:
        return ""
    middle, low, high = (f"{value:.3g}" for value in found)
    return f"{middle} ({low} to {high})"
