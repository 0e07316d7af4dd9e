"""A number; for the model in units of the training labels' standard deviation around their mean."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from decant.tasks.task import Target

CORPUS_TYPE = pa.float64()


def encoded(column: pa.Array, target: Target) -> NDArray[np.float32]:
    """(rows, 1); NaN for null."""
    numbers = pc.fill_null(column.cast(CORPUS_TYPE), float("nan"))
    values = numbers.to_numpy(zero_copy_only=False)
    scaled = (values - float(target.facts["center"])) / float(target.facts["scale"])
    return np.asarray(scaled, dtype=np.float32)[:, None]
