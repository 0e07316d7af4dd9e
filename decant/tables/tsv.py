"""Tab-separated values with one header row.

Quotes are read as Excel writes them where the whole file keeps to that, else as plain characters.
"""

from collections.abc import Sequence

from decant.tables._content import PlainFile
from decant.tables._delimited import open_delimited
from decant.tables._engine import Engine
from decant.tables._table import Table

SUFFIXES = (".tsv",)


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError with the place of a broken row."""
    return open_delimited(file, engine, wanted, usual="\t")
