"""The commit behind a version, in this repository: its files, and how its parameters differed."""

import subprocess
from collections.abc import Mapping

from ruamel.yaml import YAML

from decant.runtime.errors import UserError
from decant.runtime.git_repository import git as run_git
from decant.runtime.git_repository import is_shallow, refusal
from decant.runtime.steps import steps_behind
from pipelines.reproduction.version_lineage import Lineage

PARAMS = "params.yaml"
_SEED = "seed"


def absent(commit: str) -> UserError | None:
    """Why the files of a commit cannot be read here; None when they can."""
    done = run_git("cat-file", "-e", f"{commit}^{{commit}}")
    if done.returncode == 0:
        return None
    if b"not a valid object" not in done.stderr.lower():  # git itself refuses
        return refusal(done)
    return UserError(
        f"this repository lacks commit {commit}",
        code="commit-unknown",
        hint="this clone is shallow: git fetch --unshallow"
        if is_shallow()
        else "fetch the branch with it: git fetch --all",
    )


def committed(commit: str, file: str) -> bytes | None:
    """A file of the project as it was committed; None where it cannot be read (see `absent`)."""
    done = run_git("show", f"{commit}:./{file}")
    return done.stdout if done.returncode == 0 else None


def changed_params(lineage: Lineage) -> dict[str, object] | None:
    """Parameters of the run that differ from the commit's, as SECTION.KEY: value.

    None where the commit cannot be read here.
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


def git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """git in the project's folder. Raises UserError when it is missing or fails."""
    done = run_git(*arguments)
    if done.returncode:
        raise refusal(done)
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
