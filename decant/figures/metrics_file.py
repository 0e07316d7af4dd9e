"""metrics.json and quality.json: reading them, and the forms in which figures leave Decant."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

import pydantic
from pydantic import JsonValue

from decant.figures.evaluation_figures import Figures
from decant.figures.figure_set import FigureSet
from decant.runtime.artifacts import read_json
from decant.runtime.errors import UserError

METRICS, QUALITY = "metrics.json", "quality.json"
_SHOWN_PATHS = 5


def read_figures(file: Path, *, hint: str = "run evaluate again") -> Figures:
    """The figures of a metrics.json, also of one that an earlier version of Decant wrote.

    Raises UserError when there is no such file, or it does not have the figures.
    """
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{file.parent} has no {file.name}", code="artifact-missing", hint=hint
        ) from None
    try:
        return Figures.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise UserError(
            f"{file} {_explained(error)}", code="artifact-outdated", hint=hint
        ) from None


def refuse_other_figures(quality: Path, metrics: Path) -> None:
    """Raises UserError, with both values, where the two files are not of one evaluation.

    Args:
        quality: quality.json; one that is not there is not compared.
        metrics: metrics.json, which repeats it.
    """
    if not quality.is_file():
        return
    measured, reported = (dict(_leaves(_object(file), "")) for file in (quality, metrics))
    for path, value in measured.items():
        if reported.get(path) != value:
            raise UserError(
                f"{metrics} is of another run than {quality}: its {path} is "
                f"{json.dumps(reported.get(path))}, there it is {json.dumps(value)}",
                code="inputs-mismatch",
                hint="give evaluation and report of one run of evaluate, or run it again",
            )


def as_json(figures: FigureSet) -> dict[str, JsonValue]:
    """The figures, or a part of them, as in their JSON file."""
    return figures.model_dump(mode="json")


def dotted(figures: FigureSet) -> dict[str, JsonValue]:
    """The same by path, such as `student.accuracy`; lists stay whole."""
    return dict(_leaves(as_json(figures), ""))


def numbers(values: Mapping[str, JsonValue]) -> dict[str, float]:
    """The numbers among dotted values; an interval becomes `.low` and `.high`."""
    result: dict[str, float] = {}
    for path, value in values.items():
        if _is_number(value):
            result[path] = float(value)
        elif isinstance(value, list) and len(value) == 2:
            ends = [float(end) for end in value if _is_number(end)]
            if len(ends) == 2:
                result[f"{path}.low"], result[f"{path}.high"] = ends
    return result


def _object(file: Path) -> Mapping[str, JsonValue]:
    try:
        content = read_json(file)
    except ValueError as error:
        raise UserError(
            f"{file} is not JSON: {error}", code="artifact-outdated", hint="run evaluate again"
        ) from None
    return content if isinstance(content, dict) else {}


def _leaves(value: Mapping[str, JsonValue], prefix: str) -> Iterator[tuple[str, JsonValue]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _explained(error: pydantic.ValidationError) -> str:
    """What a file lacks, else its first invalid value."""
    problems = error.errors(include_url=False)
    if missing := [_path(one["loc"]) for one in problems if one["type"] == "missing"]:
        shown = ", ".join(missing[:_SHOWN_PATHS])
        more = len(missing) - _SHOWN_PATHS
        return f"lacks {shown} and {more} more" if more > 0 else f"lacks {shown}"
    first = problems[0]
    if not first["loc"]:
        return f"does not have figures: {first['msg']}"
    return f"has {first['input']!r} at {_path(first['loc'])}: {first['msg']}"


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location))


def _is_number(value: JsonValue) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
