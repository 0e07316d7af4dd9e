"""Label Studio's JSON export: tasks with `data`, and `annotations` with what was chosen.

A column for every key of `data`, and one for every choice by its name (`from_name`); the choice is
`label` as well where there is one only. Its JSON-MIN and CSV exports are plain tables.
Source: Label Studio's documentation, "Export annotations".
"""

from collections.abc import Iterator, Sequence
from typing import Any

from decant.tables._content import PlainFile
from decant.tables._engine import Engine
from decant.tables._objects import only_item, open_objects
from decant.tables._table import Table

SUFFIXES = ()


def recognises(first: dict[str, Any]) -> bool:
    """Whether a file that begins with this object is such an export."""
    return isinstance(first.get("data"), dict) and isinstance(first.get("annotations"), list)


def flatten(item: dict[str, Any]) -> dict[str, Any]:
    """The data of the task, and what all its annotators chose, each choice once."""
    chosen: dict[str, list[Any]] = {}
    for name, value in _results(item.get("annotations")):
        chosen.setdefault(name, []).append(value)
    answers = {name: only_item(_distinct(values)) for name, values in chosen.items()}
    data = item["data"] if isinstance(item.get("data"), dict) else {}
    label = next(iter(answers.values())) if len(answers) == 1 else None
    return {"label": label, **data, **answers}


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError for a file that is not JSON."""
    return open_objects(file, engine, flatten)


def _results(annotations: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of each result that is a choice, a rating or a number."""
    for annotation in annotations if isinstance(annotations, list) else []:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        for result in annotation.get("result") or []:
            value = result.get("value") if isinstance(result, dict) else None
            for kind in ("choices", "rating", "number"):
                if isinstance(value, dict) and kind in value:
                    yield str(result.get("from_name", "label")), only_item(value[kind])


def _distinct(values: list[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value not in values[:place]]
