"""accuracy_latency.png: a score against latency, a panel per data set and one for their mean.

accuracy_latency_mean.png has that last panel alone, where there are several data sets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import matplotlib

matplotlib.use("Agg")

import numpy as np
import textalloc
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from benchmarks.study.statistics import BASELINE, EQUAL_LATENCY, MEAN, TEACHER_KEY, pareto_front
from benchmarks.study.study_findings import bound_text
from benchmarks.study.study_plan import DEFAULT
from benchmarks.study.summary import CONTROL, Entry

PICTURE = "accuracy_latency.png"
MEAN_PICTURE = "accuracy_latency_mean.png"  # the panel of the mean alone, for a page's width
_PANEL_INCHES = (8.6, 6.2)
_LEGEND_INCHES = 0.9
_FONT_SIZE = 8.0
_DPI = 130
# Shares of a panel's width: air round a label, and from the point to it. With less of both a label
# can stand nearer to another point than to its own.
_LABEL_MARGIN, _LABEL_DISTANCE = 0.006, 0.01
_ROOM_BELOW = 0.35  # of the variants' and the teacher's range, shown below the worst variant
_DEFAULT_COLOR, _CONTROL_COLOR, _FRONT_COLOR = "#d1495b", "#6b7078", "#1b1b1b"
_FACTOR_COLORS = (
    "#1f6f8b",
    "#c97b12",
    "#4f8a3d",
    "#7a4fa3",
    "#a0522d",
    "#b0307a",
    "#2f5fc4",
    "#0f8b7d",
    "#8a7a12",
)


@dataclass(frozen=True)
class _Place:
    """Microseconds, the score, and the length of half the error bar; shares in percent."""

    x: float
    y: float
    spread: float


def draw_picture(
    folder: Path, entries: Mapping[str, Sequence[Entry]], *, bounds: Sequence[float]
) -> None:
    """Draw the entries that have a time; the mean, where there is one, comes first, and alone too.

    Args:
        bounds: shares of the teacher's latency, each drawn as a line.
    """
    _draw(folder / PICTURE, entries, bounds)
    if MEAN in entries:
        _draw(folder / MEAN_PICTURE, {MEAN: entries[MEAN]}, bounds)


def _draw(file: Path, entries: Mapping[str, Sequence[Entry]], bounds: Sequence[float]) -> None:
    order = sorted(entries, key=lambda data: data != MEAN)
    columns = min(2, len(order))
    rows = -(-len(order) // columns)
    width, height = columns * _PANEL_INCHES[0], rows * _PANEL_INCHES[1] + _LEGEND_INCHES
    figure, grid = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, dpi=_DPI)
    figure.subplots_adjust(
        left=0.72 / width,
        right=1 - 0.13 / width,
        top=1 - 0.45 / height,
        bottom=(_LEGEND_INCHES + 0.55) / height,
        wspace=0.13,
        hspace=0.24,
    )
    colors = _colors(entry for own in entries.values() for entry in own)
    panels = list(grid.flat)
    for axes, data in zip(panels, order, strict=False):
        _panel(axes, data, [one for one in entries[data] if one.timing], colors, bounds)
    for axes in panels[len(order) :]:
        axes.set_axis_off()
    figure.legend(
        handles=_legend(colors),
        loc="lower center",
        ncols=3 * columns,
        frameon=False,
        fontsize=_FONT_SIZE + 1,
    )
    figure.savefig(file, metadata={"Software": None})
    plt.close(figure)


def draw_labels(
    axes: Axes,
    points: NDArray[np.float64],
    texts: Sequence[str],
    *,
    colors: Sequence[str],
    bold: Sequence[bool],
    line: NDArray[np.float64],
) -> list[Text]:
    """Write a text beside each point (points, 2), where it covers no other text, point or line.

    Call it when limits, place and resolution of the axes are final: it computes in pixels.

    Args:
        line: corners (corners, 2), in data coordinates as the points.
    """
    xs, ys = points.T
    _, _, drawn, _ = textalloc.allocate(
        axes,
        xs,
        ys,
        list(texts),
        x_scatter=xs,
        y_scatter=ys,
        x_lines=[line[:, 0]] if len(line) else None,
        y_lines=[line[:, 1]] if len(line) else None,
        textsize=_FONT_SIZE,
        fontweight=["bold" if one else "normal" for one in bold],
        textcolor=list(colors),
        linecolor=list(colors),
        linewidth=0.6,
        margin=_LABEL_MARGIN,
        min_distance=_LABEL_DISTANCE,
        zorder=6,
        path_effects=[withStroke(linewidth=1.6, foreground="white")],
    )
    return [cast(Text, text) for text in drawn if text is not None]


def _panel(
    axes: Axes,
    data: str,
    entries: Sequence[Entry],
    colors: Mapping[str, str],
    bounds: Sequence[float],
) -> None:
    if not entries:
        axes.set_axis_off()
        return
    places = [_place(one) for one in entries]
    metric = entries[0].figures.metric
    bottom = _limits(axes, entries, places, least=1.0 if metric.is_share else 0.01)
    for one, place in zip(entries, places, strict=True):
        _mark(axes, one, place, bottom, colors[one.factor])
    front = pareto_front([(place.x, place.y) for place in places], equal=EQUAL_LATENCY)
    steps = _steps([(places[index].x, max(places[index].y, bottom)) for index in front])
    axes.plot(steps[:, 0], steps[:, 1], color=_FRONT_COLOR, linewidth=1.1, alpha=0.55, zorder=1)
    _draw_bounds(axes, entries, bounds)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(alpha=0.2, which="major")
    axes.set_xlabel("latency of the model alone, µs, 1 text (* with tokenization)")
    axes.set_ylabel(f"validation {metric.title}" + (", %" if metric.is_share else ""))
    title = "mean of the data sets" if data == MEAN else data
    axes.set_title(title, loc="left", weight="bold", pad=16)
    draw_labels(
        axes,
        np.array([(place.x, max(place.y, bottom)) for place in places]),
        [_text(one, place, bottom) for one, place in zip(entries, places, strict=True)],
        colors=[colors[one.factor] for one in entries],
        bold=[one.key == BASELINE or index in front for index, one in enumerate(entries)],
        line=steps,
    )


def _mark(axes: Axes, entry: Entry, place: _Place, bottom: float, color: str) -> None:
    is_default = entry.key == BASELINE
    below = place.y < bottom
    axes.plot(
        place.x,
        max(place.y, bottom),
        linestyle="",
        marker="*" if is_default else "v" if below else "D" if entry.control else "o",
        markersize=13 if is_default else 5,
        markerfacecolor="white" if entry.control else color,
        markeredgecolor=color,
        zorder=5 if is_default else 4,
        clip_on=False,
    )
    if not below:
        faint = to_rgba(color, 0.45)
        axes.errorbar(
            place.x, place.y, yerr=place.spread, fmt="none", ecolor=faint, elinewidth=0.9, zorder=3
        )


def _steps(front: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """The corners (corners, 2) of the line: the best score up to each latency."""
    corners = list(front[:1])
    for x, y in front[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return np.array(corners).reshape(-1, 2)


def _text(entry: Entry, place: _Place, bottom: float) -> str:
    star = "*" if entry.timing and entry.timing.model_us is None else ""
    digits = 1 if entry.figures.metric.is_share else 3
    return f"{entry.name}{star}" + (f" ({place.y:.{digits}f})" if place.y < bottom else "")


def _limits(
    axes: Axes, entries: Sequence[Entry], places: Sequence[_Place], *, least: float
) -> float:
    """Room for the labels on all sides; returns the height below which points are on the edge.

    At least a range of `least` counts, so that differences that are none stay small.

    Controls far below all variants would compress them into a line: they are on the lower edge,
    with their value.
    """
    ys = np.array([place.y for place in places])
    variants = [place.y for one, place in zip(entries, places, strict=True) if not one.control]
    low, high = min(variants, default=float(ys.min())), float(ys.max())
    cut = low - _ROOM_BELOW * max(high - low, least)
    bottom = max(cut, float(ys.min()))
    margin = 0.06 * max(high - bottom, least)
    axes.set_xscale("log")
    axes.set_ylim(bottom - (0 if bottom == cut else margin), high + margin)
    times = [place.x for place in places]
    axes.set_xlim(min(times) / 3, max(times) * 3)
    return bottom


def _draw_bounds(axes: Axes, entries: Sequence[Entry], bounds: Sequence[float]) -> None:
    teacher = next((one for one in entries if one.key == TEACHER_KEY and one.timing), None)
    if teacher is None or teacher.timing is None:
        return
    for bound in bounds:
        x = teacher.timing.shown_us * bound
        axes.axvline(x, color="#9aa0a6", linewidth=0.9, linestyle=(0, (2, 3)), zorder=0)
        axes.annotate(
            f"{bound_text(bound)} of the teacher's",
            xy=(x, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 2),
            textcoords="offset points",
            fontsize=_FONT_SIZE - 1,
            color="#80868b",
            ha="center",
            va="bottom",
        )


def _place(entry: Entry) -> _Place:
    """By validation: models are chosen in the picture, and test rows must not decide that."""
    assert entry.timing is not None
    figures = entry.figures
    unit = 100 if figures.metric.is_share else 1
    spread = unit * (figures.validation_spread or 0.0)
    return _Place(entry.timing.shown_us, unit * figures.validation, spread)


def _colors(entries: Iterable[Entry]) -> dict[str, str]:
    """A colour per factor, in the order of the study file."""
    colors = {DEFAULT: _DEFAULT_COLOR, CONTROL: _CONTROL_COLOR}
    for entry in entries:
        if entry.factor not in colors:
            colors[entry.factor] = _FACTOR_COLORS[(len(colors) - 2) % len(_FACTOR_COLORS)]
    return colors


def _legend(colors: Mapping[str, str]) -> list[Line2D]:
    def mark(label: str, color: str, marker: str, filled: bool) -> Line2D:
        face = color if filled else "white"
        return Line2D(
            [], [], linestyle="", marker=marker, color=color, markerfacecolor=face, label=label
        )

    handles = [mark("the default", _DEFAULT_COLOR, "*", True)]
    handles += [
        mark(factor, color, "o", True)
        for factor, color in colors.items()
        if factor not in (DEFAULT, CONTROL)
    ]
    handles.append(mark("control (any colour)", _CONTROL_COLOR, "D", False))
    handles.append(mark("control below the scale, with its value", _CONTROL_COLOR, "v", False))
    handles.append(mark("standard deviation over the seeds", _FRONT_COLOR, "|", True))
    handles.append(Line2D([], [], color=_FRONT_COLOR, alpha=0.55, label="Pareto front"))
    return handles
