"""The figures of an evaluation, as in `reports/metrics.json`.

An attribute's path here is the key's path in the file: `figures.student.accuracy` is
`student.accuracy`. The text below an attribute is its documentation in the reference.

Files of earlier versions of Decant can be read: an attribute that came later has a default. Unknown
keys are ignored.
"""

from decant.figures.figure_set import FigureSet
from decant.figures.quality_figures import QualityFigures
from decant.figures.timing_figures import TimingFigures


class Verdict(FigureSet):
    """The verdict of the gate on the student."""

    passed: bool
    """Whether every threshold is met; register registers nothing otherwise."""

    reasons: tuple[str, ...]
    """A sentence per threshold that is not met."""


class Figures(TimingFigures, QualityFigures):
    """The content of metrics.json."""

    gate: Verdict
    """Whether the student may be registered."""

    @classmethod
    def of(cls, quality: QualityFigures, timing: TimingFigures, gate: Verdict) -> "Figures":
        """The figures of all three parts in one."""
        return cls(**dict(quality), **dict(timing), gate=gate)
