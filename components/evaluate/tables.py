"""The `evaluation` artifact: per-row predictions and the tables that DVC draws.

predictions.parquet   row_id, text, text_digest, label; per model MODEL_label and
                      MODEL_probability_LABEL
quality.json          the deterministic figures
per_class.csv         label, support; per model MODEL_precision, MODEL_recall, MODEL_f1
confusion.csv         a line per test row: actual, predicted (by the student), predicted_teacher ...
reliability.csv       a line per bin of confidence that any model uses: bin_middle; per model its
                      accuracy, and MODEL_confidence and MODEL_rows; empty where it has no row
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.quality import Quality
from decant.runtime.identity import text_digest

_FLOATS = "%.6f"


def write_predictions(
    folder: Path,
    test: pd.DataFrame,
    labels: tuple[str, ...],
    probabilities: Mapping[str, NDArray[np.float32]],
) -> None:
    """A row per test row, in the corpus's order."""
    names = np.array(labels, dtype=object)
    columns: dict[str, object] = {
        "row_id": test["row_id"].to_numpy(),
        "text": test["text"].to_numpy(),
        "text_digest": [text_digest(text) for text in test["text"]],
        "label": test["label"].to_numpy(),
    }
    for model in probabilities:
        columns[f"{model}_label"] = names[probabilities[model].argmax(axis=1)]
        for index, label in enumerate(labels):
            columns[f"{model}_probability_{label}"] = probabilities[model][:, index]
    pd.DataFrame(columns).to_parquet(folder / "predictions.parquet", index=False)


def write_plot_tables(
    folder: Path,
    test: pd.DataFrame,
    labels: tuple[str, ...],
    predicted: Mapping[str, NDArray[np.int64]],
    quality: Mapping[str, Quality],
) -> None:
    """per_class.csv, confusion.csv, reliability.csv."""
    names = np.array(labels, dtype=object)
    confusion = {"actual": test["label"].to_numpy(), "predicted": names[predicted["student"]]}
    confusion |= {
        f"predicted_{model}": names[predicted[model]] for model in predicted if model != "student"
    }
    pd.DataFrame(confusion).to_csv(folder / "confusion.csv", index=False)

    per_class = {"label": names, "support": quality["student"].per_class["support"].to_numpy()}
    for model in quality:
        for column in ("precision", "recall", "f1"):
            per_class[f"{model}_{column}"] = quality[model].per_class[column].to_numpy()
    pd.DataFrame(per_class).to_csv(folder / "per_class.csv", index=False, float_format=_FLOATS)

    edges = quality["student"].reliability
    bins = {"bin_middle": ((edges["lower"] + edges["upper"]) / 2).to_numpy()}
    used = np.zeros(len(edges), dtype=bool)
    for model in quality:
        table = quality[model].reliability
        bins[model] = table["accuracy"].to_numpy()
        bins[f"{model}_confidence"] = table["confidence"].to_numpy()
        bins[f"{model}_rows"] = table["rows"].to_numpy()
        used |= table["rows"].to_numpy() > 0
    pd.DataFrame(bins)[used].to_csv(folder / "reliability.csv", index=False, float_format=_FLOATS)
