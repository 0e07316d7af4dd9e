"""Options and metrics of classes."""

from decant.runtime.settings import settings
from decant.tasks.metric import Metric

METRICS = {
    "accuracy": Metric(title="accuracy", is_share=True),
    "macro_f1": Metric(title="macro-F1", is_share=True),
}


@settings
class Options:
    """Nothing but the classes, which every target can list."""


def label_width(outputs: int) -> int:
    """Columns of the encoded labels: the index of the class."""
    return 1
