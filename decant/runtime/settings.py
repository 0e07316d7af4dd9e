"""Typed parameters: a section of params.yaml becomes a step's frozen `Params`.

Every key must be in params.yaml, so that no default is hidden in code. Unknown keys, wrong types
and values out of range are refused with the key, the value and what is allowed.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, cast, dataclass_transform, get_type_hints

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from decant.runtime.errors import UserError

T = TypeVar("T")
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**32)]
_UNKNOWN = {"unexpected_keyword_argument", "extra_forbidden"}  # pydantic's names


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(pydantic.Field,))
def settings(cls: type[T]) -> type[T]:
    """A frozen, keyword-only, strictly validated dataclass that refuses unknown keys."""
    decorate = cast(
        Callable[[type[T]], type[T]],
        pydantic_dataclass(
            frozen=True,
            kw_only=True,
            config=pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False),
        ),
    )
    return decorate(cls)


def parse(params_class: type[T], section: Mapping[str, Any], step: str) -> T:
    """Validate a section; raises UserError naming every bad key, its value and what is allowed."""
    try:
        text = json.dumps(section)
    except TypeError as error:
        raise UserError(f"parameter section '{step}': {error}", code="parameter-value") from None
    try:
        return pydantic.TypeAdapter(params_class).validate_json(text)
    except pydantic.ValidationError as error:
        kinds = {problem["type"] for problem in error.errors()}
        problems = _explain(error, params_class, step)
        if kinds <= _UNKNOWN:
            raise UserError(problems, code="parameter-unknown") from None
        if kinds == {"missing"}:
            raise UserError(problems, code="parameter-missing") from None
        raise UserError(problems, code="parameter-value") from None


def _explain(error: pydantic.ValidationError, params_class: type[Any], step: str) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        location = ".".join([step, *(str(part) for part in problem["loc"])])
        match problem["type"]:
            case "missing":
                lines.append(f"{location}: missing; every parameter must be in the file")
            case kind if kind in _UNKNOWN:
                known = ", ".join(_known_keys(params_class, problem["loc"][:-1]))
                lines.append(
                    f"{location}: unknown parameter (value {problem['input']!r}); known: {known}"
                )
            case _:
                lines.append(f"{location}: {problem['msg']} (value {problem['input']!r})")
    return "\n".join(lines)


def _known_keys(params_class: Any, path: tuple[int | str, ...]) -> list[str]:
    """The keys allowed at a path of nested settings."""
    for part in path:
        if not dataclasses.is_dataclass(params_class):
            return []
        params_class = get_type_hints(params_class).get(str(part))
    if not dataclasses.is_dataclass(params_class):
        return []
    return [field.name for field in dataclasses.fields(params_class)]
