"""A list of labels by their names, empty for none of them; as numbers 0 or 1 for each output."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from decant.tasks.task import Target

CORPUS_TYPE = pa.list_(pa.string())


def encoded(column: pa.Array, target: Target) -> NDArray[np.float32]:
    """(rows, L); a row of NaN for null."""
    lists = column.cast(CORPUS_TYPE)
    result = np.zeros((len(lists), len(target.outputs)), dtype=np.float32)
    result[pc.is_null(lists).to_numpy(zero_copy_only=False)] = np.nan
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    names = pa.array(list(target.outputs), pa.string())
    places = pc.fill_null(pc.index_in(pc.list_flatten(lists), value_set=names), -1)
    places = places.to_numpy(zero_copy_only=False)
    is_known = places >= 0
    result[rows[is_known], places[is_known]] = 1
    return result
