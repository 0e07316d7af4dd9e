"""Pictures of classes: confusion, reliability, F1 per class."""

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.cells import cell_len
from sklearn.metrics import confusion_matrix

from decant.tasks.drawing import f1_picture, reliability_picture, written
from decant.tasks.label_names import DrawnNames, drawn_names
from decant.tasks.single_label.quality import Quality
from decant.tasks.task import Target

_ANNOTATED_CLASSES = 12
_SPACIOUS_CLASSES, _NAMED_CLASSES = 60, 300  # of more classes every second, third, ... is named


def draw(
    tested: Mapping[str, Quality], target: Target, titles: Mapping[str, str]
) -> tuple[dict[str, Figure], frozenset[int]]:
    """confusion, reliability, per_class_f1."""
    names = drawn_names(target.outputs)
    answers = {model: tested[model].answers for model in ("teacher", "student")}
    figures = {
        "confusion": _confusion(names, tested["student"].actual, answers),
        "reliability": reliability_picture(
            {model: one.reliability for model, one in tested.items()},
            {model: one.ece for model, one in tested.items()},
            titles,
            y_label="accuracy in the bin",
            x_label="confidence (probability of the predicted class)",
        ),
        "per_class_f1": f1_picture(
            names, {model: one.per_class for model, one in tested.items()}, titles, what="class"
        ),
    }
    return figures, names.numbered


def _confusion(
    names: DrawnNames, actual: NDArray[np.int64], predicted: Mapping[str, NDArray[np.int64]]
) -> Figure:
    classes = len(names.texts)
    many = classes > _ANNOTATED_CLASSES
    longest = max(map(cell_len, names.texts))
    flat = classes * longest <= 30
    cell = 0.28 if classes <= _SPACIOUS_CLASSES else 0.15  # inches
    side = max(4.0, cell * min(classes, _NAMED_CLASSES) + 2)
    named = range(0, classes, -(-classes // _NAMED_CLASSES))
    texts = [names.texts[index] for index in named]
    # Many classes: one below the other and with small shares made visible.
    shape, (width, height) = ((2, 1), (side, 2 * side)) if many else ((1, 2), (2 * side, side))
    room = 0.085 * longest  # inches that the tick labels take
    size = (width + 1.5 + room, height + 0.3 + (0 if flat else room))
    figure, both = plt.subplots(
        *shape, figsize=size, layout="compressed", sharex=many, sharey=not many
    )
    for axes, model in zip(both, ("teacher", "student"), strict=True):
        counts = confusion_matrix(actual, predicted[model], labels=np.arange(classes))
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        norm = PowerNorm(0.5 if many else 1.0, vmin=0, vmax=1)
        image = axes.imshow(shares, cmap="Blues", norm=norm)
        if not many:
            _annotate(axes, counts, shares)
        font = 8 if many else 10
        look = {"fontsize": font, **written(names)}
        axes.set_xticks(named, texts, rotation=0 if flat else 90, **look)
        axes.set_yticks(named, texts, **look)
        axes.set_xlabel("predicted")
        axes.set_title(
            f"Confusion, {model}: {100 * (actual == predicted[model]).mean():.1f} % correct"
        )
        if many or model == "teacher":
            axes.set_ylabel("actual")
    slender = max(30, 5 * side)
    figure.colorbar(image, ax=both, label="share of the actual class", shrink=0.8, aspect=slender)
    return figure


def _annotate(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    few = len(counts) <= 6
    for row, column in np.ndindex(counts.shape):
        if few or counts[row, column]:
            text = f"{counts[row, column]}"
            if few:
                text += f"\n{100 * shares[row, column]:.0f} %"
            color = "white" if shares[row, column] > 0.55 else "#222222"
            axes.text(
                column, row, text, ha="center", va="center", color=color, fontsize=9 if few else 8
            )
