"""The parts of an exported model's manifest.json that evaluate reads."""

from decant.figures.figure_set import FigureSet
from decant.figures.quality_figures import ExportFacts


class Trial(FigureSet):
    """A form that was tried on validation rows; without figures where it could not be made."""

    form: str = "float32"
    """Such as `static_int8`."""

    reason: str = ""
    """Why it was accepted or not."""

    size_bytes: int | None = None
    """Of the graph alone."""

    accuracy: float | None = None
    """Share of the validation rows that it gets right, 0 to 1."""

    score: float | None = None
    """The task's score on the validation rows, where that is not accuracy."""

    label_agreement: float | None = None
    """Share of the validation rows with the float32 graph's answer, 0 to 1."""

    @property
    def validation_score(self) -> float | None:
        """The score, whatever the task."""
        return self.score if self.accuracy is None else self.accuracy


class Quantisation(FigureSet):
    """The forms that were tried, and the one that was taken."""

    won: str
    """The form that was taken."""

    float32: Trial
    """The graph that the others were made of."""

    tried: list[Trial]
    """In the order of the trials."""


class Manifest(ExportFacts):
    """An exported model."""

    encoder: str
    """The encoder that it descends from, such as `bert, 6 layers, 384 wide`."""

    quantisation: Quantisation | None = None
    """None for a model beside the one that was tried."""
