"""A study's findings in sentences; study_findings.txt.j2 has the words."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from benchmarks.study.results import CONSTANT, MAJORITY
from benchmarks.study.statistics import BASELINE, EQUAL_LATENCY
from benchmarks.study.summary import Entry, best_under, entry_of
from decant.figures.figure_text import share
from decant.figures.templates import render_lines, template_environment


def findings(entries: Sequence[Entry], bounds: Sequence[float]) -> list[str]:
    """Sentences on one data set, or on the mean; the most important first."""
    default = entry_of(entries, BASELINE)
    return render_lines(
        template_environment(Path(__file__).parent),
        "study_findings.txt.j2",
        default=default,
        rivals=_as_fast(default, entries) if default else [],
        best=[(bound_text(bound), best_under(entries, bound)) for bound in bounds],
    )


def bound_text(bound: float) -> str:
    """0.02 as 1/50; a share that is not such a fraction as a percentage."""
    fraction = Fraction(bound).limit_denominator(1000)
    return str(fraction) if fraction.numerator == 1 else share(bound)


def _as_fast(default: Entry, entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.control and _no_slower(entry, default)]


def _no_slower(entry: Entry, default: Entry) -> bool:
    """By the model alone where both have such a time, else with tokenization.

    Always the same answer takes no time.
    """
    if entry.key in (("", MAJORITY), ("", CONSTANT)):
        return True
    if entry.timing is None or default.timing is None:
        return False
    ours, theirs = default.timing.model_us, entry.timing.model_us
    if ours is None or theirs is None:
        ours, theirs = default.timing.end_to_end_us, entry.timing.end_to_end_us
    return theirs <= ours * EQUAL_LATENCY
