"""Argilla's export: records with `fields` and `responses` (2.x), or with `annotation` (1.x).

A column for every field and every question; what all who responded agree on is the answer.
Source: Argilla's documentation, "Add, update, and delete records" and "Import and export datasets".
"""

from collections.abc import Sequence
from typing import Any

from decant.tables._content import PlainFile
from decant.tables._engine import Engine
from decant.tables._objects import only_item, open_objects
from decant.tables._table import Table

SUFFIXES = ()

_RESPONSES = ".responses"


def recognises(first: dict[str, Any]) -> bool:
    """Whether a file that begins with this object is such an export."""
    records = isinstance(first.get("fields"), dict) and "responses" in first
    columns = any(key.endswith(_RESPONSES) for key in first)
    old = "annotation" in first and "status" in first and ("inputs" in first or "text" in first)
    return records or columns or old


def flatten(item: dict[str, Any]) -> dict[str, Any]:
    """The fields, and for each question its answer; None where there is none."""
    if isinstance(item.get("fields"), dict):
        responses = item.get("responses") if isinstance(item.get("responses"), dict) else {}
        answers = {name: _answer(given) for name, given in (responses or {}).items()}
        return {"label": None, **item["fields"], **answers}
    if "annotation" in item:
        inputs = item["inputs"] if isinstance(item.get("inputs"), dict) else {}
        return {**item, **inputs, "label": only_item(item["annotation"])}
    answers = {
        key.removesuffix(_RESPONSES): _answer(value)
        for key, value in item.items()
        if key.endswith(_RESPONSES)
    }
    return {**item, **answers}


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError with the line that is not a JSON object."""
    return open_objects(file, engine, flatten)


def _answer(given: Any) -> Any:
    if not isinstance(given, list):
        return given
    values = [one.get("value") if isinstance(one, dict) else one for one in given]
    return only_item([value for value in values if value is not None])
