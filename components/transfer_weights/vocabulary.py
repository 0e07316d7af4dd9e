"""Which of the encoder's token ids get an embedding of their own in the student."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pruning:
    """Keep ids seen at least `min_count` times in labelled and transfer text; 0 keeps all."""

    min_count: int
    special_ids: Sequence[int]


def kept_ids(vocabulary: pd.DataFrame, pruning: Pruning) -> NDArray[np.int64]:
    """Sorted ids, the special ones always among them. The others share the unknown token's row."""
    keep = (_total(vocabulary) >= pruning.min_count) | vocabulary["token_id"].isin(
        pruning.special_ids
    )
    return np.sort(vocabulary["token_id"][keep].to_numpy(dtype=np.int64))


def occurrences(vocabulary: pd.DataFrame, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each id occurs in labelled and transfer text, in the order of the ids."""
    totals = np.zeros(int(vocabulary["token_id"].max()) + 1, dtype=np.int64)
    totals[vocabulary["token_id"]] = _total(vocabulary)
    return totals[ids]


def _total(vocabulary: pd.DataFrame) -> "pd.Series[int]":
    return vocabulary["count_train"] + vocabulary["count_unlabelled"]
