"""The dvc.lock with the outputs of a version.

A version's own commit seldom has it: register runs before the dvc.lock of `dvc repro` can be
committed. So it is searched in the later commits.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML

from decant.runtime.steps import steps_behind
from pipelines.reproduction.checkout import PARAMS, committed, git, same

LOCK = "dvc.lock"


def lock_of(commit: str, params: Mapping[str, Any]) -> bytes | None:
    """The first dvc.lock, at the commit or after it, whose stages ran with these parameters.

    DVC compares it with code and data before it takes an output, and runs the stage otherwise.

    Args:
        params: the content of params.yaml, as the version ran.
    """
    return next((content for content in _locks(commit) if _ran_with(content, params)), None)


def _locks(commit: str) -> Iterator[bytes]:
    later = git("rev-list", "--all", "--reverse", "--ancestry-path", f"^{commit}", "--", LOCK)
    for one in (commit, *later.stdout.decode().split()):
        content = committed(one, LOCK)
        if content is not None:
            yield content


def _ran_with(lock: bytes, params: Mapping[str, Any]) -> bool:
    stages = YAML(typ="safe").load(lock.decode("utf-8")).get("stages", {})
    return all(
        step in stages
        and all(
            key in params and same(params[key], value)
            for key, value in stages[step].get("params", {}).get(PARAMS, {}).items()
        )
        for step in steps_behind("register")
    )
