"""Figures of one target: what every kind has. A kind's quality.py adds its own."""

from pydantic import ConfigDict

from decant.figures.figure_set import FigureSet, Interval, LeftOut


class TargetFigures(FigureSet):
    """How well one model does on one target, on the test rows whose label of it is known.

    Read from a file, it also has the figures of the kind, as they stand there.
    """

    model_config = ConfigDict(extra="allow")

    score: float
    """The target's metric, such as micro-F1; 0 where it is not defined, as of a constant answer."""

    score_interval: Interval
    """The middle 95 % of the score over resamples of the test rows: [low, high]."""

    rows: int
    """Test rows whose label of this target is known."""

    retention: LeftOut[float] = None
    """The student's score divided by its teacher's; of the student alone, where the teacher's is
    above 0."""

    retention_interval: LeftOut[Interval] = None
    """The middle 95 % of the retention over resamples of the test rows: [low, high]."""


class TargetDifference(FigureSet):
    """The student's score on one target minus another model's, on the same test rows."""

    score: float
    """In the unit of the metric: of a share, 0.01 is one point."""

    interval: Interval
    """The middle 95 % over the same resamples for both models (paired bootstrap): [low, high]."""


class AloneFigures(FigureSet):
    """A student that was trained for one target alone: the same start, teacher, texts and steps."""

    score: float
    """The target's metric on the test rows."""

    score_interval: Interval
    """The middle 95 % of the score over resamples of the test rows: [low, high]."""

    difference: float
    """The student's score on this target minus this one's: what learning together gives."""

    difference_interval: Interval
    """The middle 95 % over the same resamples for both models (paired bootstrap): [low, high]."""


class FittedControl(FigureSet):
    """What was fitted on TF-IDF for one target."""

    method: str
    """Such as `logistic regression` or `ridge regression`."""

    c: float
    """Inverse strength of the regularisation, chosen on the validation split."""

    validation_score: float
    """The target's metric on the validation split with that `c`."""


class ConstantAnswer(FigureSet):
    """Always the same answer to one target."""

    score: float
    """The target's metric of that answer on the test rows; 0 where it is not defined."""

    answer: str
    """The best constant one on the training rows: a label, labels, or a number."""


class TargetFacts(FigureSet):
    """One target of the data."""

    name: str
    """By which figures and thresholds are asked for."""

    kind: str
    """Such as `multi_label`."""

    column: str
    """Its name in the source."""

    metric: str
    """By which models are judged, such as `micro_f1`."""

    metric_title: str
    """The same as it is written in tables, such as `micro-F1`."""

    metric_is_share: bool
    """Whether it is a share, 0 to 1, which is shown in per cent."""

    weight: float
    """Of its score among the others'."""

    labels: tuple[str, ...]
    """Its outputs, in the order of the model's; of a number its own name."""
