"""What is wrong with settings, in the words of their file: one line per bad key.

A line names the key, its value, and what is allowed. No line shows a value that may be a secret.
"""

import dataclasses
import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pydantic

from decant.runtime.secrets import looks_secret, without_secrets

T = TypeVar("T")
# Keys and indices that lead to a value.
Location = tuple[str | int, ...]
Code = Literal["parameter-unknown", "parameter-missing", "parameter-value"]

_UNKNOWN = {"unexpected_keyword_argument", "extra_forbidden"}  # pydantic's names
_WRAPPED = ("Value error, ", "Assertion failed, ")  # what pydantic puts before our own messages
_MOST_CHARACTERS = 120
_CLOSE = 0.7


@dataclass(frozen=True)
class Mistake:
    """A bad key: the stable code of the error, and the line for the user."""

    code: Code
    line: str


def validated(
    kind: type[T],
    content: Mapping[str, Any],
    where: Callable[[Location], str],
    *,
    default: Callable[[Any], str] | None = None,
) -> tuple[T | None, list[Mistake]]:
    """The content as `kind`, a class made by `settings`; None with mistakes.

    Args:
        where: the part of the file that holds what is at a location of the content.
        default: makes a text of what JSON does not have, such as a date; without it a mistake.
    """
    try:
        text = json.dumps(content, default=default)
    except TypeError:
        return None, [
            Mistake("parameter-value", f"{_dotted(where(path), path)}: {problem}")
            for path, problem in _unwritable(content, (), is_value_allowed=default is not None)
        ]
    try:
        return pydantic.TypeAdapter(kind).validate_json(text), []
    except pydantic.ValidationError as error:
        problems = error.errors(include_url=False)
        return None, [_mistake(kind, problem, where) for problem in problems]


def code_of(mistakes: Iterable[Mistake]) -> Code:
    """The code of them all; `parameter-value` where they differ."""
    codes = {mistake.code for mistake in mistakes}
    return codes.pop() if len(codes) == 1 else "parameter-value"


def unknown_key(where: str, path: Location, value: Any, known: Iterable[str]) -> str:
    """The line for a key that does not exist.

    Args:
        where: as in the file, the key included.
        path: leads to the value; says whether it may be shown.
        known: the keys that are allowed in its place.
    """
    names = list(known)
    close = did_you_mean(str(path[-1]), names)
    line = f"{where}: unknown key{shown_value(path, value)}; known: {', '.join(names)}"
    return f"{line}; {close}" if close else line


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean epochs?` for `epoch`; empty where no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=_CLOSE)
    return f"did you mean {close[0]}?" if close else ""


def shown_value(path: Location, value: Any) -> str:
    """The value in brackets, cut where it is long; empty for mappings and what may be a secret."""
    plain = None | str | int | float
    is_plain = isinstance(value, plain) or (
        isinstance(value, list | tuple) and all(isinstance(one, plain) for one in value)
    )
    # An environment may have any value, also where it is not the mapping that it should be.
    if not is_plain or any(looks_secret(str(part)) for part in path) or path[-1:] == ("env",):
        return ""
    text = without_secrets(repr(value))
    return f" (value {text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + '…'})"


def keys_at(kind: Any, path: Location) -> list[str]:
    """The keys allowed at a path of nested settings, lists and mappings; empty where any is."""
    for part in path:
        kind = _unwrapped(kind)
        if dataclasses.is_dataclass(kind):
            kind = get_type_hints(kind).get(str(part))
        else:
            inner = get_args(kind)
            kind = inner[-1 if get_origin(kind) is dict else 0] if inner else None
    kind = _unwrapped(kind)
    return (
        [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    )


def _mistake(kind: type[Any], problem: Any, where: Callable[[Location], str]) -> Mistake:
    path: Location = tuple(part for part in problem["loc"] if part != "[key]")
    if problem["type"] == "missing":
        line = f"{_dotted(where(path[:-1]), path)}: missing; it has no default"
        return Mistake("parameter-missing", line)
    place = _dotted(where(path), path)
    if problem["type"] in _UNKNOWN:
        line = unknown_key(place, path, problem["input"], keys_at(kind, path[:-1]))
        return Mistake("parameter-unknown", line)
    message = problem["msg"]
    for prefix in _WRAPPED:
        message = message.removeprefix(prefix)
    return Mistake("parameter-value", f"{place}: {message}{shown_value(path, problem['input'])}")


def _unwritable(
    content: Any, path: Location, *, is_value_allowed: bool
) -> Iterator[tuple[Location, str]]:
    """Where JSON has no form for a key, or for a value, and what it is."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if isinstance(key, str | int | float | None):
                yield from _unwritable(value, (*path, str(key)), is_value_allowed=is_value_allowed)
            else:
                yield path, f"the key {key} is {_kind(key)}; write it in quotes"
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            yield from _unwritable(value, (*path, index), is_value_allowed=is_value_allowed)
    elif not isinstance(content, str | int | float | None) and not is_value_allowed:
        yield path, f"is {_kind(content)}; write it in quotes{shown_value(path, str(content))}"


def _kind(value: Any) -> str:
    return "a date" if isinstance(value, date) else f"of the type {type(value).__name__}"


def _dotted(where: str, path: Location) -> str:
    return ".".join(map(str, (where, *path))).lstrip(".")


def _unwrapped(kind: Any) -> Any:
    """`X` of `X | None`."""
    if get_origin(kind) in (Union, UnionType):
        return next(option for option in get_args(kind) if option is not type(None))
    return kind
