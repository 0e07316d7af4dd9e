"""Argilla's export: records with `fields` and `responses` (2.x), or with `annotation` (1.x).

A column for every field and every question; what all who responded agree on is the answer.
Source: Argilla's documentation, "Add, update, and delete records" and "Import and export datasets".
"""

from collections.abc import Iterator, Sequence
from typing import Any

from decant.tables._content import PlainFile
from decant.tables._engine import Engine
from decant.tables._objects import only_item, open_objects
from decant.tables._table import Table

SUFFIXES = ()

_RESPONSES = ".responses"
_OLD_STATUS = ("Default", "Edited", "Discarded", "Validated")
_SUBMITTED = ("submitted", None)


def recognises(first: dict[str, Any]) -> bool:
    """Whether a file that begins with this object is such an export."""
    records = isinstance(first.get("fields"), dict) and "responses" in first
    columns = any(key.endswith(_RESPONSES) for key in first)
    old = first.get("status") in _OLD_STATUS and "annotation" in first and "inputs" in first
    return records or columns or old


def flatten(item: dict[str, Any]) -> dict[str, Any]:
    """The fields, and for each question its answer; None where nobody submitted one."""
    if isinstance(item.get("fields"), dict):
        metadata = item["metadata"] if isinstance(item.get("metadata"), dict) else {}
        answers = {name: _agreed(given) for name, given in _by_question(item.get("responses"))}
        return {"label": None, **metadata, **item["fields"], **answers}
    if "annotation" in item:
        inputs = item["inputs"] if isinstance(item.get("inputs"), dict) else {}
        valid = item.get("status") != "Discarded"
        label = only_item(item["annotation"]) if valid else None
        return {**item, **inputs, "label": label}
    answers = {
        key.removesuffix(_RESPONSES): _agreed(_in_columns(value, item.get(f"{key}.status")))
        for key, value in item.items()
        if key.endswith(_RESPONSES)
    }
    return {**item, **answers}


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError with the line that is not a JSON object."""
    return open_objects(file, engine, flatten)


def _by_question(responses: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Question and answers: 2.x has a list per question, a feedback record of 1.x a person's."""
    if isinstance(responses, dict):
        for name, given in responses.items():
            yield name, [one for one in given or [] if isinstance(one, dict)]
        return
    found: dict[str, list[dict[str, Any]]] = {}
    for person in responses if isinstance(responses, list) else []:
        values = person.get("values") if isinstance(person, dict) else None
        for name, one in (values or {}).items():
            value = one.get("value") if isinstance(one, dict) else one
            found.setdefault(name, []).append({"value": value, "status": person.get("status")})
    yield from found.items()


def _in_columns(values: Any, statuses: Any) -> list[dict[str, Any]]:
    listed = values if isinstance(values, list) else [values]
    known = statuses if isinstance(statuses, list) else [None] * len(listed)
    return [
        {"value": value, "status": status} for value, status in zip(listed, known, strict=False)
    ]


def _agreed(answers: list[dict[str, Any]]) -> Any:
    """What all who submitted an answer gave."""
    values = [one.get("value") for one in answers if one.get("status") in _SUBMITTED]
    return only_item([value for value in values if value is not None])
