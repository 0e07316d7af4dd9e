"""Options and metrics of labels of which a text has any number."""

from typing import Annotated, Literal

from pydantic import Field

from decant.runtime.settings import settings
from decant.tasks.metric import Metric

METRICS = {
    "micro_f1": Metric(title="micro-F1", is_share=True),
    "macro_f1": Metric(title="macro-F1", is_share=True),
    "mean_average_precision": Metric(title="mean average precision", is_share=True),
    "subset_accuracy": Metric(title="subset accuracy", is_share=True),
}


@settings
class Options:
    """How the labels stand in the data, and from which probability on a label is answered.

    Attributes:
        separator: between the labels of a cell; None where a cell is a list, or has one label.
        label_columns: columns of 0 and 1, one per label, in place of the label column; [] for none.
        thresholds: fixed at `threshold`, or chosen on validation rows: one for all labels, or one
            for each.
    """

    separator: Annotated[str, Field(min_length=1)] | None
    label_columns: list[Annotated[str, Field(min_length=1)]]
    thresholds: Literal["fixed", "global", "per_label"]
    threshold: Annotated[float, Field(gt=0, lt=1)]


def label_width(outputs: int) -> int:
    """Columns of the encoded labels: 0 or 1 for each label."""
    return outputs
