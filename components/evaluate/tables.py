"""The `evaluation` artifact: per-row predictions and the tables that DVC draws.

predictions.parquet   row_id, text, text_digest, the corpus's label columns; per model MODEL_label
                      and MODEL_probability_LABEL (single_label), MODEL_labels and
                      MODEL_probability_LABEL (multi_label), MODEL_value (regression); of several
                      targets each begins with MODEL_TARGET_
quality.json          the deterministic figures
per_class.csv         label, support; per model MODEL_precision, MODEL_recall, MODEL_f1; of
                      multi_label also MODEL_threshold and MODEL_ece; no line of regression
confusion.csv         a line per test row: actual, predicted (by the student), predicted_teacher
                      ...; of multi_label a line per row and label that is true or answered, `-`
                      where it is not; of regression the grades, or ten ranges of the numbers
reliability.csv       a line per bin of confidence that any model uses: bin_middle; per model its
                      accuracy, and MODEL_confidence and MODEL_rows; nan where it has no row; of
                      multi_label of all labels' probabilities; of regression a line per range of
                      answers: the mean label, MODEL_answer and MODEL_rows

Of several targets the last three have a column `target` in front, and a label or a range of numbers
stands as `TARGET: LABEL`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.runtime.identity import text_digest
from decant.tasks.labels import column_of
from decant.tasks.tables import columns, plot_tables
from decant.tasks.task import Task

_FLOATS = "%.6f"
_NO_ROWS = "nan"  # an empty cell is drawn as 0


def write_predictions(
    folder: Path,
    test: pd.DataFrame,
    tasks: Mapping[str, Task],
    values: Mapping[str, Mapping[str, NDArray[np.floating[Any]]]],
) -> None:
    """A row per test row, in the corpus's order.

    Args:
        test: the split as in the corpus.
        tasks: per model, with its decisions.
        values: per model and target (rows, W).
    """
    found: dict[str, Any] = {
        "row_id": test["row_id"].to_numpy(),
        "text": test["text"].to_numpy(),
        "text_digest": [text_digest(text) for text in test["text"]],
    }
    task = tasks["student"]
    for target in task.targets:
        found[column_of(task, target)] = test[column_of(task, target)].to_numpy()
    for model, of_model in values.items():
        found |= columns(tasks[model], model, of_model)
    pd.DataFrame(found).to_parquet(folder / "predictions.parquet", index=False)


def write_plot_tables(folder: Path, task: Task, tested: Mapping[str, Mapping[str, Any]]) -> None:
    """per_class.csv, confusion.csv, reliability.csv.

    Args:
        tested: by target, the kind's Quality per model.
    """
    for name, frame in plot_tables(task, tested).items():
        frame.to_csv(folder / f"{name}.csv", index=False, float_format=_FLOATS, na_rep=_NO_ROWS)
