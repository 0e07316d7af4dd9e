"""doccano's export: an object per line, whose `label` (or `labels`) is a list.

A list of one label is that label; an empty one is a row that nobody has annotated.
Source: doccano's documentation, "Export dataset".
"""

from collections.abc import Sequence
from typing import Any

from decant.tables._content import PlainFile
from decant.tables._engine import Engine
from decant.tables._objects import only_item, open_objects
from decant.tables._table import Table

SUFFIXES = ()

_LABELS = ("label", "labels", "cats")


def recognises(first: dict[str, Any]) -> bool:
    """Whether a file that begins with this object is such an export."""
    return "id" in first and any(isinstance(first.get(name), list) for name in _LABELS)


def flatten(item: dict[str, Any]) -> dict[str, Any]:
    """The object with its label in place of the list of one."""
    return {key: only_item(value) if key in _LABELS else value for key, value in item.items()}


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError with the line that is not a JSON object."""
    return open_objects(file, engine, flatten)
