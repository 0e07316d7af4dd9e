"""Tables that several kinds write for DVC to draw."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def per_class_table(
    labels: Sequence[str], tables: Mapping[str, pd.DataFrame], columns: Sequence[str]
) -> pd.DataFrame:
    """A line per label: label, support, and MODEL_COLUMN of every model.

    Args:
        tables: per model, with the columns and `support`.
    """
    names = np.array(labels, dtype=object)
    found = {"label": names, "support": tables["student"]["support"].to_numpy()}
    for model, table in tables.items():
        for column in columns:
            found[f"{model}_{column}"] = table[column].to_numpy()
    return pd.DataFrame(found)


def reliability_table(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A line per bin that any model uses: bin_middle; MODEL, MODEL_confidence, MODEL_rows.

    Args:
        tables: per model, as calibration.reliability_bins gives them.
    """
    edges = tables["student"]
    bins = {"bin_middle": ((edges["lower"] + edges["upper"]) / 2).to_numpy()}
    used = np.zeros(len(edges), dtype=bool)
    for model, table in tables.items():
        bins[model] = table["accuracy"].to_numpy()
        bins[f"{model}_confidence"] = table["confidence"].to_numpy()
        bins[f"{model}_rows"] = table["rows"].to_numpy()
        used |= table["rows"].to_numpy() > 0
    return pd.DataFrame(bins)[used]
