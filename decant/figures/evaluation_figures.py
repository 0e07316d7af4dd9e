"""The figures of an evaluation, as `reports/metrics.json` holds them.

An attribute's path here is the key's path in the file: `figures.student.accuracy` is
`student.accuracy`. The text below an attribute is its documentation in the reference.

Files of earlier versions of Decant can be read: an attribute that came later has a default. Keys
that this version does not know are ignored.
"""

from decant.figures.figure_set import FigureSet
from decant.figures.quality_figures import QualityFigures
from decant.figures.timing_figures import TimingFigures


class Verdict(FigureSet):
    """What the gate says of the student."""

    passed: bool
    """Whether every demand is met; register registers nothing otherwise."""

    reasons: tuple[str, ...]
    """A sentence per demand that is not met."""


class Figures(TimingFigures, QualityFigures):
    """The content of metrics.json."""

    gate: Verdict
    """Whether the student may be registered."""

    @classmethod
    def of(cls, quality: QualityFigures, timing: TimingFigures, gate: Verdict) -> "Figures":
        return cls(**dict(quality), **dict(timing), gate=gate)
