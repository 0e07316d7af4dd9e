"""The learning curves of a training run, as a table for DVC and as a picture."""

from pathlib import Path

import matplotlib
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot

from decant.tasks.spec import task_metric
from decant.tasks.task import Task

COLUMNS = ["model", "epoch", "train_loss", "validation_loss"]


def write_curves(name: str, task: Task, curves: pd.DataFrame, folder: Path) -> None:
    """Write curves.csv and curves.png, the best epoch marked.

    The columns are those above and validation_METRIC, the metric of the task; of several targets
    validation_METRIC_TARGET, each one's own; and validation_score, the metric of the task again,
    which DVC draws whatever the task.
    """
    column, title = f"validation_{task.metric}", task_metric(task).title
    unit, factor = (" (%)", 100) if task_metric(task).is_share else ("", 1)
    measured = [column, *curves.columns.drop([*COLUMNS, column], errors="ignore")]
    table = curves.assign(model=name)[[*COLUMNS, *measured]].assign(validation_score=curves[column])
    table.to_csv(folder / "curves.csv", index=False, float_format="%.6g")
    best = table.iloc[int(table[column].argmax())]
    shown = f"{best[column]:.1%}" if factor == 100 else f"{best[column]:.3f}"
    figure, (loss, score) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    loss.plot(table["epoch"], table["train_loss"], marker="o", label="training")
    loss.plot(table["epoch"], table["validation_loss"], marker="s", label="validation")
    loss.set(title=f"Loss of the {name}", xlabel="epoch", ylabel="loss")
    loss.legend()
    score.plot(table["epoch"], factor * table[column], marker="s", color="C1")
    score.plot(
        best["epoch"],
        factor * best[column],
        marker="o",
        markersize=13,
        fillstyle="none",
        color="black",
        linestyle="none",
        label=f"best: {shown}, epoch {best['epoch']:.0f}",
    )
    title_case = title[:1].upper() + title[1:]
    score.set(
        title=f"{title_case} on validation", xlabel="epoch", ylabel=f"validation {title}{unit}"
    )
    score.legend()
    for axes in (loss, score):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(folder / "curves.png", dpi=110)
    pyplot.close(figure)
