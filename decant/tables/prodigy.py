"""Prodigy's export: an object per line with `answer`, and the label in `accept` or `label`.

What was rejected or ignored has no label.
Source: Prodigy's documentation, "Annotation interfaces" (choice, classification).
"""

from collections.abc import Sequence
from typing import Any

from decant.tables._content import PlainFile
from decant.tables._engine import Engine
from decant.tables._objects import only_item, open_objects
from decant.tables._table import Table

SUFFIXES = ()

_ANSWERS = ("accept", "reject", "ignore")


def recognises(first: dict[str, Any]) -> bool:
    """Whether a file that begins with this object is such an export."""
    own = {"_input_hash", "_task_hash", "accept", "options", "_view_id"} & set(first)
    return first.get("answer") in _ANSWERS and bool(own)


def flatten(item: dict[str, Any]) -> dict[str, Any]:
    """The object with the chosen label as `label`, None where nothing was accepted."""
    chosen = only_item(item["accept"]) if "accept" in item else item.get("label")
    return {**item, "label": chosen if item.get("answer") == "accept" else None}


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError with the line that is not a JSON object."""
    return open_objects(file, engine, flatten)
