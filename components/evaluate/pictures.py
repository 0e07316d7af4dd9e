"""The pictures of the report, as PNG."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.cells import cell_len
from sklearn.metrics import confusion_matrix

from components.evaluate import bert_base
from decant.tasks.label_names import DrawnNames
from components.evaluate.figures import BERT_BASE
from components.evaluate.quality import Quality
from decant.figures.evaluation_figures import Figures

TITLES = {
    "teacher": "teacher",
    "teacher_int8": "teacher, int8",
    "student": "student",
    "student_float32": "student, float32",
    "undistilled": "undistilled student",
    "tfidf": "TF-IDF + logistic regression",
    BERT_BASE: bert_base.NAME,
}
_COLORS = {
    "teacher": "#1f3a5f",
    "teacher_int8": "#6d93c4",
    "student": "#d1495b",
    "student_float32": "#e7a3ad",
    "undistilled": "#e8a33d",
    "tfidf": "#5b8e7d",
    BERT_BASE: "#8a8f98",
}
_MARKERS = {
    "teacher": "s",
    "teacher_int8": "s",
    "student": "o",
    "student_float32": "o",
    "undistilled": "D",
    "tfidf": "^",
}
# Another form of a model gives almost the same answers: one curve of each is enough.
_DRAWN = ("teacher", "student", "undistilled", "tfidf")
_ANNOTATED_CLASSES = 12
_SPACIOUS_CLASSES, _NAMED_CLASSES = 60, 300  # of more classes every second, third, ... is named
_TALLEST_INCHES = 400  # matplotlib draws at most 65,535 pixels


def draw_pictures(
    folder: Path,
    names: DrawnNames,
    actual: NDArray[np.int64],
    predicted: Mapping[str, NDArray[np.int64]],
    quality: Mapping[str, Quality],
    figures: Figures,
) -> dict[str, Path]:
    """Draw all pictures into the folder; returns the file per picture, in the report's order."""
    drawn = {
        "accuracy_latency": _accuracy_latency(figures),
        "confusion": _confusion(names, actual, predicted),
        "reliability": _reliability(quality),
        "per_class_f1": _per_class_f1(names, quality),
    }
    files = {}
    for name, figure in drawn.items():
        files[name] = folder / f"{name}.png"
        figure.savefig(
            files[name], dpi=120, bbox_inches="tight", pad_inches=0.12, metadata={"Software": None}
        )
        plt.close(figure)
    return files


def _accuracy_latency(figures: Figures) -> Figure:
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    for name, model in figures.models().items():
        latency_us = figures.latency_p50_us[name].end_to_end
        if latency_us is None:
            continue
        accuracy = model.accuracy * 100
        low, high = (100 * bound for bound in model.accuracy_interval)
        axes.errorbar(
            [latency_us],
            [accuracy],
            yerr=[[max(0.0, accuracy - low)], [max(0.0, high - accuracy)]],
            fmt=_MARKERS[name],
            color=_COLORS[name],
            markersize=9,
            capsize=4,
            label=f"{TITLES[name]}: {accuracy:.1f} %",
        )
    if base := figures.latency_p50_us[BERT_BASE].end_to_end:
        axes.axvline(base, color=_COLORS[BERT_BASE], linestyle="--", label=TITLES[BERT_BASE])
    majority = figures.controls.majority.accuracy * 100
    axes.axhline(
        majority, color="#b0b4ba", linestyle=":", label=f"most frequent class: {majority:.1f} %"
    )
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_xlabel("latency per text, p50, tokenization included (µs, log scale)")
    axes.set_ylabel("test accuracy (%), with 95 % interval")
    axes.set_title("Accuracy against latency")
    axes.grid(alpha=0.25, which="both")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


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
        written = {"fontsize": font, **_written(names)}
        axes.set_xticks(named, texts, rotation=0 if flat else 90, **written)
        axes.set_yticks(named, texts, **written)
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


def _reliability(quality: Mapping[str, Quality]) -> Figure:
    figure, (curve, histogram) = plt.subplots(
        2, 1, figsize=(6.5, 6.5), layout="constrained", sharex=True, height_ratios=(3, 1)
    )
    curve.plot([0, 1], [0, 1], color="#b0b4ba", linestyle=":", label="perfectly calibrated")
    start = 1.0
    for model in _DRAWN:
        bins = quality[model].reliability
        histogram.stairs(
            bins["rows"], [*bins["lower"], 1.0], color=_COLORS[model], linewidth=1.4, baseline=None
        )
        bins = bins[bins["rows"] > 0]
        start = min(start, float(bins["lower"].min()))
        curve.plot(
            bins["confidence"],
            bins["accuracy"],
            color=_COLORS[model],
            linewidth=1.2,
        )
        curve.scatter(
            bins["confidence"],
            bins["accuracy"],
            s=8 + 160 * bins["rows"] / bins["rows"].sum(),
            marker=_MARKERS[model],
            color=_COLORS[model],
            label=f"{TITLES[model]}: ECE {quality[model].ece:.3f}",
            zorder=3,
        )
    curve.set_xlim(start, 1)
    curve.set_ylim(0, 1.02)
    curve.set_ylabel("accuracy in the bin")
    curve.set_title("Reliability (marker area: share of the rows)")
    legend = figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([40.0])
    curve.grid(alpha=0.25)
    histogram.set_ylabel("rows")
    histogram.set_xlabel("confidence (probability of the predicted class)")
    histogram.grid(alpha=0.25)
    return figure


def _per_class_f1(names: DrawnNames, quality: Mapping[str, Quality]) -> Figure:
    student = quality["student"].per_class
    classes = len(names.texts)
    order = np.lexsort((np.arange(classes), -student["f1"].to_numpy()))[::-1]
    height = min(max(2.8, 0.34 * classes + 1.9), _TALLEST_INCHES)
    figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
    heights = np.arange(len(order))
    axes.hlines(heights, 0, 1, color="#e6e8eb", linewidth=1, zorder=0)
    for offset, model in zip((0.24, 0.08, -0.08, -0.24), _DRAWN, strict=True):
        axes.scatter(  # one below the other, so that equal values do not hide each other
            quality[model].per_class["f1"].to_numpy()[order],
            heights + offset,
            color=_COLORS[model],
            marker=_MARKERS[model],
            s=34,
            label=TITLES[model],
        )
    support = student["support"].to_numpy()
    texts = [f"{names.texts[i]} ({support[i]:,})" for i in order]
    axes.set_yticks(heights, texts, fontsize=9, **_written(names))
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel("F1 on the test split")
    axes.set_ylabel("class (test rows)")
    axes.set_title("F1 per class, best for the student on top")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _written(names: DrawnNames) -> dict[str, Any]:
    """How matplotlib draws them: in their fonts, and a dollar sign is no formula."""
    return {"fontfamily": list(names.families), "parse_math": False}
