"""Parquet. Scalar columns are read as strings; nested ones are left out."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.shared.errors import UserError

SUFFIXES = (".parquet", ".pq")


def read(file: Path) -> pd.DataFrame:
    """Raises UserError when the file is no Parquet, or holds bytes that are not text."""
    try:
        table = pq.read_table(file)
        columns = {
            name: _strings(table.column(name))
            for name in dict.fromkeys(table.column_names)
            if not pa.types.is_nested(table.schema.field(name).type)
        }
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file.name} is no readable Parquet file: {error}") from None
    frame = pd.DataFrame(columns, dtype="str")
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame


def _strings(column: pa.ChunkedArray) -> "pd.Series[str]":
    """Whole numbers stay whole: a column of ints with gaps is often stored as floats."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        values = column.drop_null()
        whole = pc.and_(pc.is_finite(values), pc.equal(values, pc.trunc(values)))
        if pc.all(whole).as_py():
            column = column.cast(pa.int64())
    return column.cast(pa.string()).to_pandas().astype("str")
