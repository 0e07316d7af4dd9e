"""Typed parameters: a section of params.yaml becomes a step's frozen `Params`.

Every key must be in params.yaml, so that no default is hidden in code. Unknown keys, wrong types
and values out of range are refused with the key, the value and what is allowed.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, dataclass_transform, get_type_hints

import pydantic
from pydantic.dataclasses import dataclass as pydantic_dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

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


def read_params_file(file: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """All sections of a params file, with `section.key=value` overrides (values as YAML)."""
    if not file.is_file():
        raise UserError(
            f"no parameter file at {file}", code="file-missing", hint="give --params FILE"
        )
    try:
        content = YAML(typ="safe").load(file.read_text("utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not valid YAML: {error}", code="file-invalid") from None
    if not isinstance(content, dict):
        raise UserError(
            f"{file} is a {type(content).__name__}, not sections of parameters",
            code="file-invalid",
        )
    for override in overrides:
        _apply_override(content, override)
    return content


def section_of(content: Mapping[str, Any], step: str, params_class: type[Any]) -> dict[str, Any]:
    """The step's section, plus the shared `seed` where its Params has such a field."""
    section = content.get(step, {})
    if not isinstance(section, dict):
        raise UserError(
            f"parameter section '{step}' is {section!r}, not a mapping of keys",
            code="parameter-value",
        )
    if "seed" in {field.name for field in dataclasses.fields(params_class)}:
        if "seed" not in content:
            raise UserError(
                "the parameter 'seed' is missing",
                code="parameter-missing",
                hint="add `seed: 13` to the file",
            )
        section = {**section, "seed": content["seed"]}
    return section


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


def _apply_override(content: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UserError(
            f"'{override}' is not an override",
            code="override-invalid",
            hint="write SECTION.KEY=VALUE",
        )
    *parents, key = path.split(".")
    target: Any = content
    for parent in parents:
        target = target.get(parent) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            sections = ", ".join(key for key, value in content.items() if isinstance(value, dict))
            raise UserError(
                f"no parameter section '{parent}' (from '{override}')",
                code="parameter-unknown",
                hint=f"sections: {sections}",
            )
    if key not in target:
        raise UserError(
            f"no parameter '{path}'",
            code="parameter-unknown",
            hint=_suggestion(content, parents, key, target),
        )
    try:
        target[key] = YAML(typ="safe").load(text)
    except YAMLError:
        raise UserError(
            f"the value of '{override}' is not valid YAML: {text!r}", code="override-invalid"
        ) from None


def _suggestion(
    content: dict[str, Any], parents: list[str], key: str, target: dict[str, Any]
) -> str:
    """Where in the section a key of this name is, else what is allowed here."""
    section = content.get(parents[0], {}) if parents else content
    nested = [
        ".".join([*parents[:1], str(name), key])
        for name, value in section.items()
        if isinstance(value, dict) and key in value
    ]
    return (
        f"did you mean {' or '.join(nested)}?"
        if nested
        else (f"allowed here: {', '.join(map(str, target))}")
    )


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
