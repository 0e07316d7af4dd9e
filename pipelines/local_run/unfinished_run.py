"""A local run that was cut off or failed: the same command goes on with it.

<output>/.kfp/run.json   its id, what was asked for, and the process that runs it
"""

import dataclasses
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from decant.runner.earlier_attempt import FINISHED
from decant.runtime.artifacts import read_json, write_json
from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json, text_digest
from decant.runtime.process import read_tag, this_process
from decant.runtime.publishing import publish

FOLDER = ".kfp"
_STATE = "run.json"
_LOCK = ".lock"
_DAY_SECONDS = 86400


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalRun:
    """One run, over all its attempts.

    Attributes:
        run_id: by which its steps find MLflow's parent run.
        asked: the digest of what the command asked for.
        process: which runs it, as `Process.as_tag` has it.
    """

    run_id: str
    asked: str
    process: str = dataclasses.field(default_factory=lambda: this_process().as_tag())


def digest_of(arguments: Mapping[str, str], image: str | None, gpus: bool) -> str:
    """Equal for two commands that ask for the same."""
    return text_digest(canonical_json([dict(arguments), image, gpus]))


def unfinished(outputs: Iterable[Path], asked: str) -> tuple[Path, LocalRun] | None:
    """The newest of the folders where a run that asked for the same was left, and that run."""
    found = []
    for output in outputs:
        file = output / FOLDER / _STATE
        try:
            run, written = LocalRun(**read_json(file)), file.stat().st_mtime
        except (OSError, ValueError, TypeError):  # none, or cut off while it was written
            continue
        if run.asked == asked and not _may_be_running(run, written):
            found.append((written, output, run))
    return max(found, key=lambda one: one[0])[1:] if found else None


def begin(root: Path, run: LocalRun) -> AbstractContextManager[object]:
    """From now on it is this process's, until the end of the returned block.

    Raises UserError when another process begins with the same run at this moment.
    """
    from filelock import FileLock, Timeout  # here: `--help` needs no package

    try:
        held = FileLock(root / _LOCK).acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another `decant run` works in {root.parent}",
            code="output-taken",
            hint="wait for it, or give another --output",
        ) from None
    write_state(root, run)
    return held


def write_state(root: Path, run: LocalRun) -> None:
    """Which run is there, and whose."""
    partial = root / f".{_STATE}"
    write_json(partial, dataclasses.asdict(run))
    publish(partial, root / _STATE)


def finished_steps(root: Path) -> int:
    """How many steps have published their outputs in it."""
    return len(list((root / FINISHED).glob("*.json")))


def _may_be_running(run: LocalRun, started: float) -> bool:
    process = read_tag(run.process)
    if process and process.is_here:
        return process.is_alive
    return time.time() - started < _DAY_SECONDS  # another machine's, or a container's
