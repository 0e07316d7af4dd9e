"""Label Studio's JSON export: tasks with `data`, and `annotations` with what was chosen.

A column for every key of `data`, and one for every choice by its name (`from_name`); where the
whole file has one such name only, the choice is `label` as well. JSON-MIN and CSV exports are plain
tables.
Source: Label Studio's documentation, "Export annotations".
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from decant.tables._content import PlainFile
from decant.tables._engine import Engine
from decant.tables._objects import only_item, open_objects
from decant.tables._table import Table

SUFFIXES = ()

_CHOICES = "decant: names of the choices"


def recognises(first: dict[str, Any]) -> bool:
    """Whether a file that begins with this object is such an export."""
    return isinstance(first.get("data"), dict) and isinstance(first.get("annotations"), list)


def flatten(item: dict[str, Any]) -> dict[str, Any]:
    """The data of the task, and what all its annotators chose, each choice once.

    Raises ValueError when a choice has the name of a key of the data.
    """
    chosen: dict[str, list[Any]] = {}
    for name, value in _results(item.get("annotations")):
        chosen.setdefault(name, []).append(value)
    answers = {name: only_item(values) for name, values in chosen.items()}
    data = item["data"] if isinstance(item.get("data"), dict) else {}
    if both := sorted(answers.keys() & data.keys()):
        raise ValueError(f"a choice and a key of the data are both named '{both[0]}'")
    return {**data, **answers, _CHOICES: sorted(answers)}


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError for a file that is not JSON."""
    table = open_objects(file, engine, flatten)
    names = engine.all(
        f"SELECT DISTINCT unnest(CAST(line -> '/{_CHOICES}' AS VARCHAR[])) AS name "
        f"FROM {table.relation} ORDER BY name"
    )
    columns = tuple(column for column in table.columns if column.name != _CHOICES)
    if len(names) == 1 and "label" not in [column.name for column in columns]:
        (chosen,) = (column for column in columns if column.name == names[0][0])
        columns += (dataclasses.replace(chosen, name="label"),)
    return dataclasses.replace(table, columns=columns)


def _results(annotations: Any) -> Iterator[tuple[str, Any]]:
    """Name and value of each result that is a choice, a rating or a number."""
    for annotation in annotations if isinstance(annotations, list) else []:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result")
        for result in results if isinstance(results, list) else []:
            value = result.get("value") if isinstance(result, dict) else None
            for kind in ("choices", "rating", "number"):
                if isinstance(value, dict) and kind in value:
                    yield str(result.get("from_name", "label")), only_item(value[kind])
