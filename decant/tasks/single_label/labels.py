"""A class by its name; as a number its place among the target's outputs."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from decant.tasks.task import Target

CORPUS_TYPE = pa.string()


def encoded(column: pa.Array, target: Target) -> NDArray[np.float32]:
    """(rows, 1); NaN for null and for a label that is not among the outputs."""
    values = column.cast(pa.string())
    places = pc.index_in(values, value_set=pa.array(list(target.outputs), pa.string()))
    found = pc.fill_null(places.cast(pa.float32()), float("nan"))
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.float32)[:, None]
