"""Pictures of sets of labels: reliability of the labels' probabilities, F1 per label."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from decant.tasks.drawing import f1_picture, reliability_picture
from decant.tasks.label_names import drawn_names
from decant.tasks.multi_label.quality import Quality
from decant.tasks.task import Target


def draw(
    tested: Mapping[str, Quality], target: Target, titles: Mapping[str, str]
) -> tuple[dict[str, Figure], frozenset[int]]:
    """reliability, per_class_f1."""
    names = drawn_names(target.outputs)
    figures = {
        "reliability": reliability_picture(
            {model: one.reliability for model, one in tested.items()},
            {model: one.figures["ece"] for model, one in tested.items()},
            titles,
            y_label="share of true labels in the bin",
            x_label="probability of a label, of all labels and rows",
            histogram_label="decisions",
            is_log=True,
        ),
        "per_class_f1": f1_picture(
            names, {model: one.per_class for model, one in tested.items()}, titles, what="label"
        ),
    }
    return figures, names.numbered
