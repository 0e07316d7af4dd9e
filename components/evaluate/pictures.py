"""The picture of score against latency; those of the kinds are in decant/tasks."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from components.evaluate.tested_models import BERT_BASE
from decant.figures.evaluation_figures import Figures
from decant.tasks.drawing import COLORS, MARKERS
from decant.tasks.pictures import save_picture

NAME = "accuracy_latency"


def draw_accuracy_latency(folder: Path, figures: Figures, titles: Mapping[str, str]) -> Path:
    """Draw it into the folder.

    Args:
        titles: of the models.
    """
    file = folder / f"{NAME}.png"
    save_picture(_accuracy_latency(figures, titles), file)
    return file


def _accuracy_latency(figures: Figures, titles: Mapping[str, str]) -> Figure:
    score = figures.data.score
    factor, unit = (100, " (%)") if score.is_share else (1, "")
    shown = "{:.1f} %" if score.is_share else "{:.3f}"
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    for name, model in figures.models().items():
        latency_us = figures.latency_p50_us[name].end_to_end
        if latency_us is None:
            continue
        value = model.score * factor
        low, high = (factor * bound for bound in model.score_interval)
        axes.errorbar(
            [latency_us],
            [value],
            yerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
            fmt=MARKERS[name],
            color=COLORS[name],
            markersize=9,
            capsize=4,
            label=f"{titles[name]}: {shown.format(value)}",
        )
    if base := figures.latency_p50_us[BERT_BASE].end_to_end:
        axes.axvline(base, color=COLORS[BERT_BASE], linestyle="--", label=titles[BERT_BASE])
    majority = figures.controls.majority
    constant = majority.score * factor
    what = "best constant answer" if majority.accuracy is None else "most frequent class"
    axes.axhline(
        constant, color="#b0b4ba", linestyle=":", label=f"{what}: {shown.format(constant)}"
    )
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_xlabel("latency per text, p50, tokenization included (µs, log scale)")
    axes.set_ylabel(f"test {score.title}{unit}, with 95 % interval")
    axes.set_title(f"{score.title[0].upper()}{score.title[1:]} against latency")
    axes.grid(alpha=0.25, which="both")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure
