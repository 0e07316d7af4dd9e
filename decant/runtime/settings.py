"""Typed parameters: a section of params.yaml becomes a step's frozen `Params`.

Every key must be in params.yaml, so that no default is hidden in code. Unknown keys, wrong types
and values out of range are refused with the key, the value and what is allowed.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass

from decant.runtime.errors import UserError
from decant.runtime.refused_secrets import refuse_secrets
from decant.runtime.settings_errors import Mistake, code_of, validated

T = TypeVar("T")
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**32)]


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
    """Validate a section.

    Raises UserError naming every bad key, its value and what is allowed, and for a secret.
    """
    refuse_secrets(section, step)
    params, mistakes = validated(params_class, section, lambda _: step)
    if params is None:
        lines = "\n".join(mistake.line for mistake in mistakes)
        together = Mistake(line=lines, code=code_of(mistakes))
        is_incomplete = any(mistake.code == "parameter-missing" for mistake in mistakes)
        raise UserError(
            together.line,
            code=together.code,
            hint="every parameter must be in the file" if is_incomplete else "",
        )
    return params
