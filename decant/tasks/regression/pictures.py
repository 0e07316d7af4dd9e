"""The picture of numbers: answers against labels."""

from collections.abc import Mapping, Sequence

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
    shifts = _shifts(tested["student"].true)
    true = tested["student"].true + shifts
    figure, both = plt.subplots(
        1, 2, figsize=(10, 5.2), layout="constrained", sharex=True, sharey=True
    )
    numbers = [true, *(tested[model].answers for model in models)]
    low, high = min(map(np.min, numbers)), max(map(np.max, numbers))
    room = 0.04 * (high - low) or 1.0
    limits = float(low - room), float(high + room)
    if len(true) > _POINTS:
        _densities(figure, both, [tested[model] for model in models], limits)
    for axes, model in zip(both, models, strict=True):
        quality = tested[model]
        if len(true) <= _POINTS:
            alpha = float(np.clip(200 / len(true), 0.15, 0.8))
            axes.scatter(
                true, quality.answers, s=14, color=COLORS[model], alpha=alpha, linewidths=0
            )
        axes.plot(limits, limits, color="#444444", linestyle=":")
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


def _densities(
    figure: Figure, both: Sequence[Axes], tested: Sequence[Quality], limits: tuple[float, float]
) -> None:
    """How many rows each cell has, in the same colors for both."""
    edges = np.linspace(*limits, _CELLS + 1)
    counts = [np.histogram2d(one.answers, one.true, bins=edges)[0] for one in tested]
    norm = LogNorm(vmin=0.7, vmax=max(2.0, float(np.max(counts))))
    for axes, count in zip(both, counts, strict=True):
        shown = np.ma.masked_equal(count, 0)
        image = axes.pcolormesh(edges, edges, shown, cmap="Blues", norm=norm)
    figure.colorbar(image, ax=list(both), label="rows", shrink=0.8)


def _shifts(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """A little to left and right, where few different numbers stand above each other."""
    different = np.unique(numbers)
    if not 1 < len(different) <= 20:
        return np.zeros(len(numbers))
    width = 0.3 * float(np.diff(different).min())
    return np.random.default_rng(0).uniform(-width, width, len(numbers))
