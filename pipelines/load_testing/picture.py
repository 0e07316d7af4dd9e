"""latency.png: latency against throughput, and each level's percentiles."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from pipelines.load_testing.clients import Level

PICTURE = "latency.png"
_DPI = 130
_COLORS = {"p50": "#1f6f8b", "p95": "#c97b12", "p99": "#d1495b"}
_MARKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)


def draw_picture(folder: Path, levels: Sequence[Level], found: Sequence[Mapping[str, Any]]) -> None:
    """Draw the levels that have an answer; with one of them its percentiles alone.

    Args:
        found: the figures of the levels.
    """
    answered = [pair for pair in zip(levels, found, strict=True) if pair[1]["latency_ms"]]
    if not answered:
        return
    panels = 2 if len(answered) > 1 else 1
    figure, grid = plt.subplots(
        1, panels, figsize=(6.2 * panels, 4.6), squeeze=False, dpi=_DPI, layout="constrained"
    )
    if panels == 2:
        _throughput(grid[0, 0], [one for _, one in answered])
    _percentiles(grid[0, -1], [level for level, _ in answered])
    figure.savefig(folder / PICTURE, metadata={"Software": None})
    plt.close(figure)


def _throughput(axes: Axes, found: Sequence[Mapping[str, Any]]) -> None:
    """A line per percentile, in the order of the levels, so that a fold back is seen."""
    x = [one["texts_per_second"] for one in found]
    for name, color in _COLORS.items():
        y = [one["latency_ms"][name] for one in found]
        axes.plot(x, y, color=color, marker="o", markersize=4, linewidth=1.3, label=name)
    medians = [one["latency_ms"]["p50"] for one in found]
    for one, left, median in zip(found, x, medians, strict=True):
        axes.annotate(
            f"{one['clients']}",
            (left, median),
            xytext=(0, -13),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_xlim(0, max(x) * 1.08)
    _milliseconds(axes, [one["latency_ms"][name] for one in found for name in _COLORS])
    axes.set_xlabel("throughput, texts per second (numbers: clients)")
    axes.set_title("latency against throughput", loc="left", weight="bold")
    axes.legend(frameon=False, fontsize=9)


def _percentiles(axes: Axes, levels: Sequence[Level]) -> None:
    """Each answer's latency over its rank; the axis stretches the tail, as 1 / (1 - rank)."""
    colors = plt.get_cmap("viridis")(np.linspace(0.05, 0.85, len(levels)))
    for level, color in zip(levels, colors, strict=True):
        ordered = np.sort(level.latencies_ms)
        rank = (np.arange(len(ordered)) + 0.5) / len(ordered)
        word = "client" if level.clients == 1 else "clients"
        axes.plot(
            1 / (1 - rank),
            ordered,
            color=color,
            linewidth=1.4,
            drawstyle="steps-mid",
            label=f"{level.clients} {word}, {len(ordered):,} answers",
        )
    largest = max(2 * len(level.latencies_ms) for level in levels)
    marks = [mark for mark in _MARKS if 1 / (1 - mark / 100) <= max(largest, 2)]
    axes.set_xscale("log")
    axes.set_xlim(1, max(largest, 2) * 1.1)
    axes.set_xticks([1 / (1 - mark / 100) for mark in marks], [f"{mark:g}" for mark in marks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", bottom=False)
    _milliseconds(axes, np.concatenate([level.latencies_ms for level in levels]))
    axes.set_xlabel("percent of the answers that came sooner")
    axes.set_title("latency of the answers", loc="left", weight="bold")
    axes.legend(frameon=False, fontsize=9)


def _milliseconds(axes: Axes, values: Any) -> None:
    """A logarithmic axis, marked at 1, 2 and 5 of each decade."""
    axes.set_yscale("log")
    low, high = float(np.min(values)) / 1.35, float(np.max(values)) * 1.35
    marks = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
    axes.set_yticks([mark for mark in marks if low <= mark <= high])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", which="minor", left=False)
    axes.set_ylim(low, high)
    axes.set_ylabel("latency, ms")
    axes.grid(alpha=0.2, which="major")
