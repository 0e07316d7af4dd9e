"""Names beside the points of a picture, placed so that no two overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ANGLES = np.deg2rad(np.arange(0, 360, 10))
_RADII_POINTS = np.array([5, 8, 12, 17, 23, 30, 38, 47, 57, 68, 80, 95, 110, 130, 150, 175, 200])
_MARK_POINTS = 7.0  # width of the box round a point that labels stay out of
_LEADER_POINTS = 8  # from here on a line joins label and point
_AIR_POINTS = 1.0  # kept free round every label
# Costs in points: as bad as a label this many points farther away.
_OVERLAPS, _COVERS, _CROSSES = 1e6, 200.0, 60.0
_SWEEPS = 3


@dataclass(frozen=True, kw_only=True)
class Label:
    """A text for the point (x, y), in data coordinates."""

    x: float
    y: float
    text: str
    color: str
    bold: bool = False


def draw_labels(
    axes: Axes, labels: Sequence[Label], *, lines: Floats, font_size: float
) -> list[Floats]:
    """Place the labels one by one, each where it costs least, the important first; then again.

    Call it when limits, place and resolution of the axes are final: it computes in pixels.

    Args:
        lines: segments (segments, 2, 2) in data coordinates that labels should not cover.

    Returns the boxes (x0, y0, x1, y1) of the labels in pixels, in their order.
    """
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    scale = figure.dpi / 72  # pixels per point
    points = np.array([axes.transData.transform((label.x, label.y)) for label in labels])
    half = _MARK_POINTS * scale / 2
    marks = np.concatenate([points - half, points + half], axis=1)
    drawn = axes.transData.transform(lines.reshape(-1, 2)).reshape(-1, 2, 2)
    candidates = [
        _inside(_candidates(point, *_size(axes, label, font_size), scale), axes)
        for point, label in zip(points, labels, strict=True)
    ]
    boxes, tips = np.full((len(labels), 4), np.nan), points.copy()
    for _ in range(_SWEEPS):
        for index in _order(points, labels):
            others = np.delete(np.arange(len(labels)), index)
            others = others[~np.isnan(boxes[others, 0])]  # those that are placed
            ends = np.clip(points[index], candidates[index][:, :2], candidates[index][:, 2:])
            cost = np.hypot(*(ends - points[index]).T) / scale + _cost(
                points[index],
                candidates[index],
                ends,
                marks=np.delete(marks, index, axis=0),
                lines=drawn,
                placed=boxes[others],
                leaders=(points[others], tips[others]),
            )
            best = int(cost.argmin())
            boxes[index], tips[index] = candidates[index][best], ends[best]
    for label, box, tip in zip(labels, boxes, tips, strict=True):
        _draw(axes, label, box, tip, font_size, _LEADER_POINTS * scale)
    return list(boxes)


def _cost(
    point: Floats,
    candidates: Floats,
    ends: Floats,
    *,
    marks: Floats,
    lines: Floats,
    placed: Floats,
    leaders: tuple[Floats, Floats],
) -> Floats:
    """What each candidate (candidates, 4) would cover or cross, and its leader to `ends` too."""
    own = np.broadcast_to(point, ends.shape)
    cost = _OVERLAPS * _overlaps(candidates, placed).sum(axis=1)
    cost = cost + _COVERS * _overlaps(candidates, marks).sum(axis=1)
    cost = cost + _COVERS * _passes(*leaders, candidates).sum(axis=0)
    cost = cost + _CROSSES * _passes(lines[:, 0], lines[:, 1], candidates).sum(axis=0)
    cost = cost + _COVERS * _passes(own, ends, placed).sum(axis=1)
    return np.asarray(cost + _CROSSES * _crossings(point, ends, *leaders).sum(axis=1))


def _inside(candidates: Floats, axes: Axes) -> Floats:
    """Those within the frame; all where none is."""
    frame = axes.get_window_extent()
    inside = (candidates[:, :2] >= (frame.x0, frame.y0)).all(axis=1)
    inside &= (candidates[:, 2:] <= (frame.x1, frame.y1)).all(axis=1)
    return candidates[inside] if inside.any() else candidates


def _draw(
    axes: Axes, label: Label, box: Floats, tip: Floats, font_size: float, leader_pixels: float
) -> None:
    point = axes.transData.transform((label.x, label.y))
    axes.annotate(
        label.text,
        xy=(label.x, label.y),
        xytext=((box[0] + box[2]) / 2, (box[1] + box[3]) / 2),
        textcoords="figure pixels",
        ha="center",
        va="center",
        fontsize=font_size,
        fontweight="bold" if label.bold else "normal",
        color=label.color,
        zorder=6,
        path_effects=[withStroke(linewidth=1.6, foreground="white")],
    )
    if np.hypot(*(tip - point)) > leader_pixels:
        x, y = axes.transData.inverted().transform(tip)
        axes.plot([label.x, x], [label.y, y], color=label.color, lw=0.6, alpha=0.6, zorder=2)


def _candidates(point: Floats, width: float, height: float, scale: float) -> Floats:
    """Boxes (candidates, 4) of the label's size, each a radius away in one direction."""
    radius, angle = (grid.ravel() for grid in np.meshgrid(_RADII_POINTS * scale, _ANGLES))
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # The label's edge, not its middle, is the radius away; steep ones are centred on the line.
    beside = np.where(np.abs(direction) > 0.35, np.sign(direction), direction)
    centre = point + direction * radius[:, None] + beside * (width / 2, height / 2)
    half = np.array([width, height]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _order(points: Floats, labels: Sequence[Label]) -> list[int]:
    """Bold ones first, and the isolated before the crowded."""
    distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    near = np.sort(distances, axis=1)[:, 1:5]
    crowding = near.mean(axis=1) if near.shape[1] else np.zeros(len(points))
    return sorted(range(len(labels)), key=lambda index: (not labels[index].bold, -crowding[index]))


def _size(axes: Axes, label: Label, font_size: float) -> tuple[float, float]:
    """Width and height in pixels, with a small margin."""
    weight = "bold" if label.bold else "normal"
    text = axes.text(0, 0, label.text, fontsize=font_size, fontweight=weight)
    extent = text.get_window_extent()
    text.remove()
    return extent.width + 2 * _AIR_POINTS, extent.height + 2 * _AIR_POINTS


def _overlaps(boxes: Floats, others: Floats) -> NDArray[np.bool_]:
    """(boxes, others): which share an area."""
    a, b = boxes[:, None], others[None]
    return np.asarray(
        (a[..., 0] < b[..., 2])
        & (b[..., 0] < a[..., 2])
        & (a[..., 1] < b[..., 3])
        & (b[..., 1] < a[..., 3])
    )


def _passes(starts: Floats, ends: Floats, boxes: Floats) -> NDArray[np.bool_]:
    """(segments, boxes): which segment passes through which box.

    Between which shares of its length a segment lies within the box, across and up (Liang and
    Barsky 1984); it passes through where both have a part of 0 to 1 in common.
    """
    way = (ends - starts)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        one = (boxes[None, :, :2] - starts[:, None]) / way
        other = (boxes[None, :, 2:] - starts[:, None]) / way
    enters = np.minimum(one, other).max(axis=-1)
    leaves = np.maximum(one, other).min(axis=-1)
    return np.asarray((enters < leaves) & (enters < 1) & (leaves > 0))


def _crossings(point: Floats, tips: Floats, starts: Floats, ends: Floats) -> NDArray[np.bool_]:
    """(tips, leaders): whether the line from the point to the tip crosses the leader."""

    def side(p: Floats, q: Floats, r: Floats) -> Floats:
        (px, py), (qx, qy), (rx, ry) = p.T, q.T, r.T
        return np.asarray((qx - px) * (ry - py) - (qy - py) * (rx - px))

    tip, start, end = tips[:, None], starts[None], ends[None]

    def sides(p: Floats, q: Floats, r: Floats) -> Floats:
        p, q, r = np.broadcast_arrays(p, q, r)
        flat = side(p.reshape(-1, 2), q.reshape(-1, 2), r.reshape(-1, 2))
        return flat.reshape(p.shape[:-1])

    return np.asarray(
        (sides(point, tip, start) * sides(point, tip, end) < 0)
        & (sides(start, end, point) * sides(start, end, tip) < 0)
    )
