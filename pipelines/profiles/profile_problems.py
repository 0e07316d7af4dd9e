"""The typed content of a profile, or one line per bad key with its path in the file.

No line shows a value that may be a secret.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import pydantic

from decant.runtime.secrets import looks_secret

T = TypeVar("T")
# Keys and indices that lead to a value.
Location = tuple[str | int, ...]


def validate(
    kind: type[T], content: Mapping[str, Any], section: Callable[[Location], str]
) -> tuple[T | None, list[str]]:
    """The typed content, or one line per bad key."""
    try:
        text = json.dumps(content, default=str)  # YAML reads 2026-01-02 as a date: text here
    except TypeError as error:
        return None, [f"{section(()) or 'profile'}: {error}"]
    try:
        return pydantic.TypeAdapter(kind).validate_json(text), []
    except pydantic.ValidationError as error:
        problems = error.errors(include_url=False)
        return None, [_explain(kind, problem, section) for problem in problems]


def _explain(kind: type[Any], problem: Any, section: Callable[[Location], str]) -> str:
    path: Location = tuple(part for part in problem["loc"] if part != "[key]")
    missing = problem["type"] == "missing"
    where = ".".join(map(str, (section(path[:-1] if missing else path), *path))).lstrip(".")
    shown = _shown(path, problem["input"])
    match problem["type"]:
        case "missing":
            return f"{where}: missing; keys here: {', '.join(keys_at(kind, path[:-1]))}"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"{where}: unknown key{shown}; known: {', '.join(keys_at(kind, path[:-1]))}"
        case _:
            return f"{where}: {problem['msg'].removeprefix('Value error, ')}{shown}"


def _shown(path: Location, value: Any) -> str:
    """The value in brackets, unless it is a collection or may be a secret."""
    is_plain = value is None or isinstance(value, str | int | float)
    if not is_plain or any(looks_secret(str(part)) for part in path) or path[-1:] == ("env",):
        return ""
    return f" (value {value!r})"


def keys_at(kind: Any, path: Location) -> list[str]:
    """The keys allowed at a path of nested settings, lists and mappings."""
    for part in path:
        kind = _unwrapped(kind)
        if dataclasses.is_dataclass(kind):
            kind = get_type_hints(kind).get(str(part))
        else:
            kind = get_args(kind)[-1] if get_args(kind) else None
    kind = _unwrapped(kind)
    return [field.name for field in dataclasses.fields(kind)] if kind else []


def _unwrapped(kind: Any) -> Any:
    """`X` of `X | None`."""
    if get_origin(kind) in (Union, UnionType):
        return next(option for option in get_args(kind) if option is not type(None))
    return kind
