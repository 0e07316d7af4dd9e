"""The pipeline's arguments from a params file: each step's parameters and key."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from decant.runtime.identity import canonical_json, code_digest, lock_digest, text_digest
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.settings import parse
from decant.runtime.steps import STEPS, load_step


def pipeline_arguments(
    file: Path,
    overrides: Iterable[str] = (),
    *,
    presets: Iterable[Path] = (),
    place: Callable[[Any], tuple[Any, Mapping[str, str]]] | None = None,
) -> dict[str, str]:
    """`<step>_params` and `<step>_key` for every step.

    In an override, `distill.epochs` is short for `distill.training.epochs`.

    Args:
        presets: files laid over the given one.
        place: of ingest's parameters those for a cluster, and the pins of the sources; without it
            they are as they are, for this machine.

    Raises UserError, before anything runs, for whatever is wrong with any step's parameters.
    """
    presets = list(presets)
    content = read_params_file(file, presets=presets)
    if whole := [_in_full(override, content) for override in overrides]:
        content = read_params_file(file, whole, presets=presets)
    arguments = {}
    for name in STEPS:
        step = load_step(name)
        params = parse(step.params, section_of(content, name, step.params), name)
        pins: dict[str, str] = {}
        if step.pins and place:
            params, found = place(params)
            pins = dict(found)
        elif step.pins:
            pins = dict(step.pins(params))
        arguments[f"{name}_params"] = canonical_json(params)
        arguments[f"{name}_key"] = text_digest(
            canonical_json({"code": code_digest(name), "lock": lock_digest(), "sources": pins})
        )
    return arguments


def _in_full(override: str, content: dict[str, Any]) -> str:
    """Put `training` between step and key where only the step's training plan has the key."""
    path, equals, value = override.partition("=")
    step, _, key = path.partition(".")
    section = content.get(step)
    if isinstance(section, dict) and key not in section and key in section.get("training", {}):
        path = f"{step}.training.{key}"
    return f"{path}{equals}{value}"
