"""Plain text: one text per line, in a column named `text`. For unlabelled files."""

from collections.abc import Sequence

from decant.tables._content import PlainFile
from decant.tables._engine import Engine
from decant.tables._lines import load_lines
from decant.tables._table import Column, Table

SUFFIXES = (".txt",)


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Blank lines are rows."""
    return Table(
        name=file.name,
        path=file.path,
        relation=load_lines(file.path, engine),
        columns=(Column(name="text", cell="line"),),
        counts="line",
        notes=file.notes,
    )
