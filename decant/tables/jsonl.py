"""JSON: one object per line, or one array of objects. A key is a column."""

from collections.abc import Sequence

from decant.tables._content import PlainFile
from decant.tables._engine import Engine
from decant.tables._objects import open_objects
from decant.tables._table import Table

SUFFIXES = (".jsonl", ".ndjson", ".json")


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError with the line that is not a JSON object. Blank lines are skipped."""
    return open_objects(file, engine)
