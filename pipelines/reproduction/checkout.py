"""The commit behind a version, in this repository: its files, and how its parameters differed."""

import subprocess
from collections.abc import Mapping

from ruamel.yaml import YAML

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT
from decant.runtime.steps import steps_behind
from pipelines.reproduction.version_lineage import Lineage

PARAMS = "params.yaml"
_SEED = "seed"


def committed(commit: str, file: str) -> bytes | None:
    """A file of the project as it was committed; None where commit or file are missing."""
    done = git("show", f"{commit}:./{file}", check=False)
    return done.stdout if done.returncode == 0 else None


def changed_params(lineage: Lineage) -> dict[str, object] | None:
    """Parameters of the run that differ from the commit's, as SECTION.KEY: value.

    None where the commit is not in this repository.
    """
    content = committed(lineage.commit, PARAMS)
    if content is None:
        return None
    base = YAML(typ="safe").load(content.decode("utf-8"))
    changes: dict[str, object] = {}
    for run in lineage.steps:
        section = base.get(run.step) or {}
        for key, value in run.params.items():
            if key == _SEED and key not in section:
                if value != base.get(_SEED):
                    changes[_SEED] = value
            elif key not in section or not same(section[key], value):
                changes |= _leaves(f"{run.step}.{key}", section.get(key), value)
    return changes


def unknown_params(lineage: Lineage) -> list[str]:
    """The steps before register whose parameters are not recorded any more."""
    known = {run.step for run in lineage.steps if run.params}
    return [step for step in steps_behind("register") if step not in known]


def same(one: object, other: object) -> bool:
    """As YAML and JSON spell the same value: 1 is 1.0, a tuple is a list."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def git(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
    """git in the project's folder. Raises UserError when it is missing or, with `check`, fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, check=False)
    except OSError as error:
        raise UserError(
            f"git cannot be run: {error.strerror}", code="program-missing", hint="install git"
        ) from None
    if check and done.returncode:
        message = done.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(
            f"git {arguments[0]} failed: {message[-1] if message else ''}", code="command-failed"
        )
    return done


def _leaves(path: str, before: object, after: object) -> dict[str, object]:
    """The differences below a key, as deep as both are mappings."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return {path: after}
    changes: dict[str, object] = {}
    for key in after:
        if key not in before or not same(before[key], after[key]):
            changes |= _leaves(f"{path}.{key}", before.get(key), after[key])
    return changes
