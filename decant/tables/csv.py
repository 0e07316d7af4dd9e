"""Comma-separated values with one header row; UTF-8, with or without Excel's byte order mark."""

from collections.abc import Sequence

from decant.tables._content import PlainFile
from decant.tables._delimited import open_delimited
from decant.tables._engine import Engine
from decant.tables._table import Table

SUFFIXES = (".csv",)


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError with the place of a broken row."""
    return open_delimited(file, engine, wanted, usual=",")
