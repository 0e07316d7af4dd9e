"""The pipeline's arguments from a params file: each step's parameters and key."""

from collections.abc import Iterable
from pathlib import Path

from components.shared.identity import code_digest, lock_digest, text_digest
from components.shared.settings import canonical_json, parse, read_params_file, section_of
from components.shared.steps import STEPS, load_step


def pipeline_arguments(file: Path, overrides: Iterable[str] = ()) -> dict[str, str]:
    """`<step>_params` and `<step>_key` for every step.

    Raises UserError, before anything runs, for whatever is wrong with any step's parameters.
    """
    content = read_params_file(file, overrides)
    arguments = {}
    for name in STEPS:
        step = load_step(name)
        params = parse(step.params, section_of(content, name, step.params), name)
        arguments[f"{name}_params"] = canonical_json(params)
        pins = dict(step.pins(params)) if step.pins else {}
        arguments[f"{name}_key"] = text_digest(
            canonical_json({"code": code_digest(name), "lock": lock_digest(), "sources": pins})
        )
    return arguments
