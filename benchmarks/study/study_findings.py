"""A study's findings in sentences. A control that wins is named as plainly as a good student."""

from collections.abc import Sequence
from fractions import Fraction

from benchmarks.study.results import MAJORITY
from benchmarks.study.statistics import BASELINE, EQUAL_LATENCY
from benchmarks.study.summary import Entry, best_under, entry_of
from components.evaluate.findings import points, points_range, share, share_range


def findings(entries: Sequence[Entry], bounds: Sequence[float]) -> list[str]:
    """Sentences on one data set, or on the mean; the most important first."""
    default = entry_of(entries, BASELINE)
    if default is None:
        return ["The default is not there yet: nothing can be compared with it."]
    return [
        _default(default),
        *_against_controls(default, entries),
        *(_best(entries, bound) for bound in bounds),
    ]


def bound_text(bound: float) -> str:
    """0.02 as 1/50; a share that is not such a fraction as a percentage."""
    fraction = Fraction(bound).limit_denominator(1000)
    return str(fraction) if fraction.numerator == 1 else share(bound)


def _default(default: Entry) -> str:
    figures = default.figures
    sentence = f"The default student is right in {share(figures.accuracy)} of the test rows"
    if figures.retention is not None:
        sentence += (
            f" and keeps {share(figures.retention)} of its teacher's accuracy "
            f"(95 % interval {share_range(figures.retention_interval)})"
        )
    if default.timing and default.timing.faster:
        sentence += f", {default.timing.faster.median:.0f} times as fast"
    return f"{sentence}."


def _against_controls(default: Entry, entries: Sequence[Entry]) -> list[str]:
    """One sentence per control that wins, or one that none does."""
    rivals = _as_fast(default, entries)
    winners = [one for one in rivals if one.figures.accuracy >= default.figures.accuracy]
    if not winners:
        names = ", ".join(entry.name for entry in rivals) or "none was measured"
        return [f"The default beats every control of equal or lower latency ({names})."]
    sentences = []
    for winner in winners:
        difference, bounds = winner.figures.difference, winner.figures.difference_interval
        sentence = (
            f"The control '{winner.name}', of equal or lower latency, is as good as the default or "
            f"better: {share(winner.figures.accuracy)} against {share(default.figures.accuracy)}"
        )
        if difference is not None and bounds is not None:
            sentence += f", {points(difference)}, 95 % interval {points_range(bounds)}"
            if bounds[0] <= 0 <= bounds[1]:
                sentence += ", which includes 0"
        sentences.append(f"{sentence}.")
    return sentences


def _best(entries: Sequence[Entry], bound: float) -> str:
    best = best_under(entries, bound)
    if best is None:
        return f"Nothing complete stays below {bound_text(bound)} of the teacher's latency."
    sentence = (
        f"Below {bound_text(bound)} of the teacher's latency the best by validation is "
        f"'{best.name}' ({share(best.figures.validation)} there): "
        f"{share(best.figures.accuracy)} of the test rows"
    )
    if best.figures.retention is not None:
        sentence += (
            f", {share(best.figures.retention)} of the teacher's accuracy "
            f"({share_range(best.figures.retention_interval)})"
        )
    return f"{sentence}."


def _as_fast(default: Entry, entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.control and _no_slower(entry, default)]


def _no_slower(entry: Entry, default: Entry) -> bool:
    """By the model alone where both have such a time, else with tokenization.

    Always the commonest class takes no time.
    """
    if entry.key == ("", MAJORITY):
        return True
    if entry.timing is None or default.timing is None:
        return False
    ours, theirs = default.timing.model_us, entry.timing.model_us
    if ours is None or theirs is None:
        ours, theirs = default.timing.end_to_end_us, entry.timing.end_to_end_us
    return theirs <= ours * EQUAL_LATENCY
