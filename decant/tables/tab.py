"""Orange's .tab: tab-separated, with three header rows (names, types, roles) or one.

With one, a name may carry its role and type in front, as in `cD#label`.
Source: Orange Data Mining Library, "Loading your data".
"""

import dataclasses
import re
from collections.abc import Sequence

from decant.tables._content import PlainFile
from decant.tables._delimited import open_delimited
from decant.tables._delimiters import first_records
from decant.tables._engine import Engine
from decant.tables._table import Table

SUFFIXES = (".tab",)

_TYPES = {"", "c", "continuous", "d", "discrete", "s", "string", "t", "time", "basket"}
_ROLE = re.compile(r"(?:class|c|meta|m|ignore|i|weight|w|multiclass|\w+=\S+|\s)*")
_PREFIX = re.compile(r"^[A-Za-z]{1,2}#")


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError with the place of a broken row."""
    header_rows = 3 if _has_three_headers(file) else 1
    table = open_delimited(file, engine, (), usual="\t", header_rows=header_rows)
    columns = tuple(
        dataclasses.replace(column, name=_PREFIX.sub("", column.name) or column.name)
        for column in table.columns
    )
    return dataclasses.replace(table, columns=columns)


def _has_three_headers(file: PlainFile) -> bool:
    records = first_records(file.head(), "\t", 3)
    if len(records) < 3:
        return False
    types, roles = records[1:]
    return (
        any(types)
        and all(cell.strip() in _TYPES for cell in types)
        and all(_ROLE.fullmatch(cell) for cell in roles)
    )
