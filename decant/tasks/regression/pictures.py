"""The picture of numbers: answers against labels."""

from collections.abc import Mapping

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from decant.tasks.drawing import COLORS
from decant.tasks.regression.quality import Quality
from decant.tasks.task import Target

# Of more rows points would hide each other, so their density is drawn.
_POINTS = 2000
_CELLS = 60


def draw(
    tested: Mapping[str, Quality], target: Target, titles: Mapping[str, str]
) -> tuple[dict[str, Figure], frozenset[int]]:
    """predicted: of teacher and student."""
    models = ("teacher", "student")
    figure, both = plt.subplots(
        1, 2, figsize=(10, 5.2), layout="constrained", sharex=True, sharey=True
    )
    numbers = [tested["student"].true, *(tested[model].answers for model in models)]
    low, high = min(map(np.min, numbers)), max(map(np.max, numbers))
    room = 0.04 * (high - low) or 1.0
    limits = float(low - room), float(high + room)
    for axes, model in zip(both, models, strict=True):
        quality = tested[model]
        axes.plot(limits, limits, color="#b0b4ba", linestyle=":", zorder=1)
        _answers(axes, quality, limits, COLORS[model])
        pearson, mae = quality.figures["pearson"], quality.figures["mae"]
        correlation = "undefined" if pearson is None else f"{pearson:.3f}"
        axes.set_title(f"{titles[model]}: Pearson's r {correlation}, MAE {mae:.3g}")
        axes.set_xlim(limits)
        axes.set_ylim(limits)
        axes.set_aspect("equal")
        axes.set_xlabel("label")
        axes.grid(alpha=0.25)
    both[0].set_ylabel("answer")
    figure.suptitle("Answers against labels")
    return {"predicted": figure}, frozenset()


def _answers(axes: Axes, quality: Quality, limits: tuple[float, float], color: str) -> None:
    if quality.rows <= _POINTS:
        alpha = float(np.clip(200 / quality.rows, 0.15, 0.8))
        shifted = quality.true + _spread(quality.true)
        axes.scatter(
            shifted, quality.answers, s=14, color=color, alpha=alpha, linewidths=0, zorder=2
        )
    else:
        edges = np.linspace(*limits, _CELLS + 1)
        axes.hist2d(
            quality.true, quality.answers, bins=[edges, edges], cmap="Blues", norm=LogNorm()
        )


def _spread(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """A little to left and right, where few different numbers stand above each other."""
    different = np.unique(numbers)
    if not 1 < len(different) <= 20:
        return np.zeros(len(numbers))
    width = 0.3 * float(np.diff(different).min())
    return np.random.default_rng(0).uniform(-width, width, len(numbers))
