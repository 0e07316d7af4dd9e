"""Options and metrics of numbers."""

from typing import Self

from pydantic import model_validator

from decant.runtime.settings import settings
from decant.tasks.metric import Metric

METRICS = {
    "pearson": Metric(title="Pearson's r", is_share=False),
    "spearman": Metric(title="Spearman's rho", is_share=False),
    "r2": Metric(title="R²", is_share=False),
    "quadratic_kappa": Metric(title="quadratic kappa", is_share=False),
}


@settings
class Options:
    """Bounds of the numbers, and whether they are grades.

    Attributes:
        minimum, maximum: what the data keeps to, and answers are cut to; None for no bound.
        ordinal: whole numbers that are grades, such as 1 to 5 stars: also scored by kappa.
    """

    minimum: float | None
    maximum: float | None
    ordinal: bool

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError(
                f"the minimum {self.minimum:g} is not below the maximum {self.maximum:g}"
            )
        return self


def label_width(outputs: int) -> int:
    """Columns of the encoded labels: the number."""
    return 1
