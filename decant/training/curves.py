"""The learning curves of a training run, as a table for DVC and as a picture."""

from pathlib import Path

import matplotlib
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot

COLUMNS = ["model", "epoch", "train_loss", "validation_loss", "validation_accuracy"]


def write_curves(name: str, curves: pd.DataFrame, folder: Path) -> None:
    """Write curves.csv (the columns above) and curves.png, the best epoch marked."""
    table = curves.assign(model=name)[COLUMNS]
    table.to_csv(folder / "curves.csv", index=False, float_format="%.6g")
    best = table.iloc[int(table["validation_accuracy"].argmax())]
    figure, (loss, accuracy) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    loss.plot(table["epoch"], table["train_loss"], marker="o", label="training")
    loss.plot(table["epoch"], table["validation_loss"], marker="s", label="validation")
    loss.set(title=f"Loss of the {name}", xlabel="epoch", ylabel="loss")
    loss.legend()
    accuracy.plot(table["epoch"], 100 * table["validation_accuracy"], marker="s", color="C1")
    accuracy.plot(
        best["epoch"],
        100 * best["validation_accuracy"],
        marker="o",
        markersize=13,
        fillstyle="none",
        color="black",
        linestyle="none",
        label=f"best: {best['validation_accuracy']:.1%}, epoch {best['epoch']:.0f}",
    )
    accuracy.set(title="Accuracy on validation", xlabel="epoch", ylabel="validation accuracy (%)")
    accuracy.legend()
    for axes in (loss, accuracy):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(folder / "curves.png", dpi=110)
    pyplot.close(figure)
