"""Arrays in .npy files: written whole or with an error, and read without being loaded."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def save_array(file: Path, values: NDArray[Any]) -> None:
    """Write what `np.save` writes. Raises OSError.

    NumPy leaves the bytes of an array to a stream of C's and takes no notice when closing it fails:
    on a full disk the last few kilobytes would be missing without an error.
    """
    values = np.ascontiguousarray(values)
    with file.open("wb") as stream:
        header = np.lib.format.header_data_from_array_1_0(values)
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(values.data)


def map_array(file: Path) -> NDArray[Any]:
    """Memory-map a .npy file. Unlike with np.load it need not stay open, so there may be many."""
    with pa.memory_map(str(file)) as source:
        np.lib.format.read_magic(source)
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(source)
        values = np.frombuffer(source.read_buffer(), dtype)
    return values.reshape(shape, order="F" if is_fortran else "C")
