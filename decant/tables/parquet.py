"""Parquet. Scalar columns become strings; nested ones and bytes that are not text are left out.

`attrs["left_out"]` of the frame has the reason per column.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decant.runtime.errors import UserError

SUFFIXES = (".parquet", ".pq")


def read(file: Path) -> pd.DataFrame:
    """Raises UserError when the file is not Parquet, or has no column that can be read as text."""
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{file.name} is not a readable Parquet file: {error}", code="file-invalid"
        ) from None
    columns: dict[str, pd.Series[str]] = {}
    left_out: dict[str, str] = {}
    for name in dict.fromkeys(table.column_names):
        if pa.types.is_nested(kind := table.schema.field(name).type):
            left_out[name] = f"it has nested values ({kind})"
            continue
        try:
            columns[name] = _strings(table.column(name))
        except pa.ArrowException as error:
            left_out[name] = str(error)
    if not columns:
        reasons = "; ".join(f"'{name}': {reason}" for name, reason in left_out.items())
        raise UserError(
            f"{file.name} has no column that can be read as text: {reasons or 'none'}",
            code="column-not-text",
        )
    frame = pd.DataFrame(columns, dtype="str")
    frame.attrs["left_out"] = left_out
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
    strings: pd.Series[str] = column.cast(pa.string()).to_pandas().astype("str")
    return strings
