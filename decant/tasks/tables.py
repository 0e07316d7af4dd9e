"""Tables of the answers: columns of predictions, tables that DVC draws, sections of the report.

A kind's tables.py has, with `tested` the kind's Quality per model, of rows whose label is known:

    NOTES                          sentences of "How to read this"
    summary(figures)               a cell per column title, of the kind's figures
    columns(values, target)        columns of predictions.parquet, by what follows the model's name
    plot_tables(tested, target)    a frame per name in PLOT_TABLES, with the columns that dvc.yaml
                                   draws; without rows where a kind has nothing to draw
    sections(tested, target, texts, numbered)
                                   sections of the report; `numbered` are the indices of the labels
                                   that pictures show by number
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.tasks.kinds import part
from decant.tasks.report_parts import Section
from decant.tasks.task import Target, Task

# What dvc.yaml draws, and the columns that it names.
PLOT_TABLES = {
    "confusion": ("actual", "predicted", "predicted_teacher"),
    "per_class": ("label", "support", "student_f1"),
    "reliability": ("bin_middle", "teacher", "student", "undistilled", "tfidf"),
}
Tested = Mapping[str, Any]


def columns(
    task: Task, model: str, values: Mapping[str, NDArray[np.floating[Any]]]
) -> dict[str, Any]:
    """Columns of a model's answers: MODEL_..., of several targets MODEL_TARGET_...

    Args:
        task: the model's own, with its decisions.
        values: per target (rows, W).
    """
    found = {}
    for target in task.targets:
        start = model if len(task.targets) == 1 else f"{model}_{target.name}"
        for name, column in _of(target).columns(values[target.name], target).items():
            found[f"{start}_{name}"] = column
    return found


def plot_tables(task: Task, tested: Mapping[str, Tested]) -> dict[str, pd.DataFrame]:
    """A frame per name in PLOT_TABLES.

    Of several targets with a column `target` in front, and labels as `TARGET: LABEL`, so that equal
    ones of two targets are not drawn as one.

    Args:
        tested: by target.
    """
    parts = {
        target.name: _of(target).plot_tables(tested[target.name], target) for target in task.targets
    }
    if len(parts) == 1:
        return dict(*parts.values())
    return {
        name: _joined({target: frames[name] for target, frames in parts.items()})
        for name in PLOT_TABLES
    }


def sections(
    target: Target, tested: Tested, texts: Sequence[str], numbered: Collection[int]
) -> list[Section]:
    """What the report says of one target."""
    found: list[Section] = _of(target).sections(tested, target, texts, numbered)
    return found


def summary(target: Target, figures: Any) -> dict[str, str]:
    """A cell per column title."""
    found: dict[str, str] = _of(target).summary(figures)
    return found


def notes(task: Task) -> list[str]:
    """How to read the figures of the kinds that the task has."""
    kinds = dict.fromkeys(target.kind for target in task.targets)
    return [note for kind in kinds for note in part(kind, "tables").NOTES]


def _joined(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One below the other, with the target in front."""
    filled = [_named(frame, target) for target, frame in frames.items() if len(frame)]
    if not filled:
        return next(iter(frames.values())).assign(target=[])
    joined = pd.concat(filled, ignore_index=True)
    return joined[["target", *joined.columns.drop("target")]]


def _named(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    texts = {
        column: f"{target}: " + frame[column].astype(str)
        for column in frame.columns
        if column in ("actual", "label") or column.startswith("predicted")
    }
    return frame.assign(**texts, target=target)


def _of(target: Target) -> Any:
    return part(target.kind, "tables")
