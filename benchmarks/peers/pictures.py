"""accuracy_latency.png and latency_percentiles.png of the peers."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from benchmarks.peers.entries import ENTRIES
from benchmarks.peers.results import Measured
from benchmarks.study.accuracy_latency import draw_labels

ACCURACY_LATENCY, PERCENTILES = "accuracy_latency.png", "latency_percentiles.png"
_DPI = 130
_STUDENT, _TEACHER, _PEER, _LINE = "#d1495b", "#1f6f8b", "#6b7078", "#9aa0a6"
_SMALLEST_AREA = 14.0  # square points of a megabyte


def draw_accuracy_latency(file: Path, measured: Sequence[Measured]) -> None:
    """Accuracy against the median time of one text on one thread; an area is a size on disk."""
    shown = [one for one in measured if one.accuracy is not None]
    figure, axes = plt.subplots(figsize=(9.2, 6.2), dpi=_DPI, layout="constrained")
    points = np.array([(one.p50_us(), 100 * (one.accuracy or 0)) for one in shown])
    axes.set_xscale("log")
    times = [one.p50_us() for one in measured]
    axes.set_xlim(min(times) / 3, max(times) * 3)
    low, high = points[:, 1].min(), points[:, 1].max()
    room = max(high - low, 1.0)
    axes.set_ylim(low - 0.12 * room, high + 0.14 * room)
    for one, (x, y) in zip(shown, points, strict=True):
        area = _SMALLEST_AREA * max(one.size_bytes / 1e6, 1.0)
        axes.scatter(x, y, s=area, color=_color(one), alpha=0.35, linewidths=0, zorder=2)
        axes.scatter(x, y, s=14, color=_color(one), zorder=3)
    for one in measured:
        if one.accuracy is None:
            _time_alone(axes, one)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.grid(alpha=0.2)
    axes.set_xlabel("median time from text to label, µs: 1 text, 1 thread")
    axes.set_ylabel("accuracy on the test rows, %")
    axes.set_title("area: size on disk", loc="right", fontsize=9, color=_PEER)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    draw_labels(
        axes,
        points,
        [f"{one.title}, {_megabytes(one)}" for one in shown],
        colors=[_color(one) for one in shown],
        bold=[one.name == "student" for one in shown],
        line=np.zeros((0, 2)),
    )
    figure.savefig(file, metadata={"Software": None})
    plt.close(figure)


def draw_percentiles(file: Path, measured: Sequence[Measured]) -> None:
    """A line per entry from the median to the 99th percentile, of one text and of batches."""
    order = sorted(measured, key=Measured.p50_us, reverse=True)
    figure, panels = plt.subplots(
        1,
        2,
        figsize=(11.5, 0.42 * len(order) + 1.7),
        dpi=_DPI,
        sharey=True,
        layout="constrained",
    )
    for axes, calls, title in zip(
        panels, ("one", "batch"), ("1 text per call", "in batches, per text"), strict=True
    ):
        for place, one in enumerate(order):
            _spread(axes, one, place + 0.14, "1", calls, filled=True)
            _spread(axes, one, place - 0.14, "all", calls, filled=False)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_title(title, loc="left", weight="bold", fontsize=10)
        axes.set_xlabel("µs from text to label")
        axes.grid(alpha=0.2, axis="x")
    panels[0].set_yticks(range(len(order)), [one.title for one in order])
    for label, one in zip(panels[0].get_yticklabels(), order, strict=True):
        label.set_color(_color(one))
    figure.legend(
        handles=[
            Line2D([], [], marker="o", color=_PEER, label="p50, 1 thread"),
            Line2D(
                [], [], marker="o", color=_PEER, markerfacecolor="white", label="p50, all cores"
            ),
            Line2D(
                [], [], marker="|", markersize=9, linestyle="", color=_PEER, label="p95 and p99"
            ),
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    figure.savefig(file, metadata={"Software": None})
    plt.close(figure)


def _spread(
    axes: Axes, one: Measured, height: float, threads: str, calls: str, *, filled: bool
) -> None:
    found = one.times[threads][calls]
    xs = [found[f"p{percentile}_us"] for percentile in (50, 95, 99)]
    color = _color(one)
    axes.plot(xs, [height] * 3, color=color, linewidth=1.2, zorder=2)
    axes.plot(xs[1:], [height] * 2, "|", color=color, markersize=7, zorder=3)
    face = color if filled else "white"
    axes.plot(xs[0], height, "o", color=color, markerfacecolor=face, markersize=5, zorder=4)


def _time_alone(axes: Axes, one: Measured) -> None:
    x = one.p50_us()
    axes.axvline(x, color=_LINE, linestyle=(0, (2, 3)), zorder=1)
    axes.annotate(
        f"{one.title} (time alone), {_megabytes(one)}",
        xy=(x, 0.02),
        xycoords=axes.get_xaxis_transform(),
        xytext=(4, 0),
        textcoords="offset points",
        rotation=90,
        fontsize=8,
        color=_PEER,
    )


def _megabytes(one: Measured) -> str:
    size = one.size_bytes / 1e6
    return f"{size:.1f} MB" if size < 10 else f"{size:.0f} MB"


def _color(one: Measured) -> str:
    if one.name.startswith("student"):
        return _STUDENT
    is_teacher = one.name.startswith("teacher") or ENTRIES[one.name].alike == "teacher"
    return _TEACHER if is_teacher else _PEER
