"""What the pictures of the report share: how models look, and pictures that several kinds draw."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from decant.tasks.label_names import DrawnNames

COLORS = {
    "teacher": "#1f3a5f",
    "teacher_int8": "#6d93c4",
    "student": "#d1495b",
    "student_float32": "#e7a3ad",
    "undistilled": "#e8a33d",
    "tfidf": "#5b8e7d",
    "bert_base": "#8a8f98",
}
MARKERS = {
    "teacher": "s",
    "teacher_int8": "s",
    "student": "o",
    "student_float32": "o",
    "undistilled": "D",
    "tfidf": "^",
}
# Another form of a model gives almost the same answers: one curve of each is enough.
DRAWN = ("teacher", "student", "undistilled", "tfidf")
_TALLEST_INCHES = 400  # matplotlib draws at most 65,535 pixels


def reliability_picture(
    tables: Mapping[str, pd.DataFrame],
    errors: Mapping[str, float],
    titles: Mapping[str, str],
    *,
    y_label: str,
    x_label: str,
    histogram_label: str = "rows",
    is_log: bool = False,
) -> Figure:
    """Accuracy against confidence, and how many rows each bin has.

    Args:
        tables: per model, as calibration.reliability_bins gives them.
        errors: per model its expected calibration error.
        titles: of the models.
        is_log: whether the histogram's axis is logarithmic.
    """
    figure, (curve, histogram) = plt.subplots(
        2, 1, figsize=(6.5, 6.5), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    curve.plot([0, 1], [0, 1], color="#b0b4ba", linestyle=":", label="perfectly calibrated")
    start = 1.0
    for model in DRAWN:
        bins = tables[model]
        histogram.stairs(
            bins["rows"], [*bins["lower"], 1.0], color=COLORS[model], linewidth=1.4, baseline=None
        )
        bins = bins[bins["rows"] > 0]
        start = min(start, float(bins["lower"].min()))
        curve.plot(bins["confidence"], bins["accuracy"], color=COLORS[model], linewidth=1.2)
        curve.scatter(
            bins["confidence"],
            bins["accuracy"],
            s=8 + 160 * bins["rows"] / bins["rows"].sum(),
            marker=MARKERS[model],
            color=COLORS[model],
            label=f"{titles[model]}: ECE {errors[model]:.3f}",
            zorder=3,
        )
    curve.set_xlim(start, 1)
    curve.set_ylim(0, 1.02)
    curve.set_ylabel(y_label)
    curve.set_title(f"Reliability (marker area: share of the {histogram_label})")
    legend = figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([40.0])
    curve.grid(alpha=0.25)
    if is_log:
        histogram.set_yscale("log")
    histogram.set_ylabel(histogram_label)
    histogram.set_xlabel(x_label)
    histogram.grid(alpha=0.25)
    return figure


def f1_picture(
    names: DrawnNames, tables: Mapping[str, pd.DataFrame], titles: Mapping[str, str], *, what: str
) -> Figure:
    """F1 of each class, of the student's best on top.

    Args:
        tables: per model, with f1 and support per class.
        titles: of the models.
        what: a class or a label.
    """
    student = tables["student"]
    classes = len(names.texts)
    order = np.lexsort((np.arange(classes), -student["f1"].to_numpy()))[::-1]
    height = min(max(2.8, 0.34 * classes + 1.9), _TALLEST_INCHES)
    figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
    heights = np.arange(len(order))
    axes.hlines(heights, 0, 1, color="#e6e8eb", linewidth=1, zorder=0)
    for offset, model in zip((0.24, 0.08, -0.08, -0.24), DRAWN, strict=True):
        axes.scatter(  # one below the other, so that equal values do not hide each other
            tables[model]["f1"].to_numpy()[order],
            heights + offset,
            color=COLORS[model],
            marker=MARKERS[model],
            s=34,
            label=titles[model],
        )
    support = student["support"].to_numpy()
    texts = [f"{names.texts[i]} ({support[i]:,})" for i in order]
    axes.set_yticks(heights, texts, fontsize=9, **written(names))
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel("F1 on the test split")
    axes.set_ylabel(f"{what} (test rows)")
    axes.set_title(f"F1 per {what}, best for the student on top")
    columns = 4 if _are_short([titles[model] for model in DRAWN]) else 2
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    return figure


def written(names: DrawnNames) -> dict[str, Any]:
    """How matplotlib draws them: in their fonts, and a dollar sign is no formula."""
    return {"fontfamily": list(names.families), "parse_math": False}


def _are_short(titles: Sequence[str]) -> bool:
    return sum(map(len, titles)) < 70
