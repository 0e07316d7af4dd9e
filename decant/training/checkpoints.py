"""Where a training keeps its checkpoints, so that one that was cut off goes on.

<root>/<digest of identity>/<number>/<training>/checkpoint-<steps>/         optimizer too
<root>/<digest of identity>/<number>/<training>/checkpoint-<steps>.sha256   of all its bytes

The root is $DECANT_CHECKPOINTS, or the folder `checkpoints` of the cache. A pod without the
variable keeps none: its disk does not outlive it.

The identity is the step's, whatever the number of threads; the training's name has that number.

A process locks the first free number of its step and keeps it until it ends, however it does. So
several processes at one identity never write into one folder, and the next one finds what a killed
one left. What is kept goes when the step's outputs are published (`remove_checkpoints`), or a week
after the last checkpoint. (torch reads it with weights_only: nothing in it is executed.)
"""

import itertools
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from decant.runtime.artifacts import read_json
from decant.runtime.cache_folder import cache_folder, digest_file, discard, is_intact, link_or_copy
from decant.runtime.errors import UserError
from decant.runtime.identity import text_digest
from decant.runtime.litter import temporary_folder
from decant.runtime.log_lines import log_line
from decant.runtime.threads import in_words
from decant.training.processes import agreed, count, index, is_on_one_node, wait_for_all

VARIABLE = "DECANT_CHECKPOINTS"
STATE = "trainer_state.json"  # as transformers' Trainer names it
ABANDONED_DAYS = 7

_DAY_SECONDS = 86400
_LOCK = ".lock"
_STEP = re.compile(r"[0-9a-f]{32}")
# Of this process: a step's folder, and in it the locked one.
_HELD: dict[Path, tuple[Path, FileLock]] = {}


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The folder to write into.

    Attributes:
        kept: whether a later process can go on from them; then they have more than the weights.
        last: the one to go on from, None at the start.
    """

    folder: Path
    kept: bool = False
    last: Path | None = None

    @property
    def done_steps(self) -> int:
        """Steps that the training had made there."""
        return _steps(self.last) if self.last else 0

    @property
    def is_finished(self) -> bool:
        """Whether the training had ended there: nothing is left but to take its best epoch."""
        control = self.state.get("stateful_callbacks", {}).get("TrainerControl", {})
        return bool(control.get("args", {}).get("should_training_stop"))

    @cached_property
    def state(self) -> dict[str, Any]:
        """The Trainer's state there; empty at the start."""
        return dict(read_json(self.last / STATE)) if self.last else {}

    def of(self, steps: int) -> Path:
        """The checkpoint after so many steps."""
        return _of(self.folder, steps)


@contextmanager
def checkpoints(
    identity: str, name: str, device: str = "cpu", threads: Mapping[str, int] | None = None
) -> Iterator[Checkpoints]:
    """The checkpoints of a training; of one without an identity they go at the block's end.

    Args:
        identity: of the step that trains, whatever its threads. Without one nothing is kept: it
            could not be found again.
        name: of the model; a step may train several.
        device: where it trains.
        threads: by library. Another device, or number of processes or threads, goes another way: a
            line names it where it was kept, and this training begins anew.

    Raises UserError when DECANT_CHECKPOINTS names a folder that cannot be written.
    """
    own = None
    if identity and (os.environ.get(VARIABLE) or _outlives_this_process()):
        own = _agreed_folder(identity, _training(name, device, threads or {}))
    if own is None:
        with temporary_folder("fit") as folder:
            yield Checkpoints(folder=folder)
        return
    last = _last_usable(own) or _adopted(own) if index() == 0 else None
    if index() == 0 and not last:
        _name_other_ways(own)
    (steps,) = agreed([_steps(last) if last else 0])
    yield Checkpoints(folder=own, kept=True, last=_of(own, steps) if steps else None)
    wait_for_all()


def remove_checkpoints(identity: str) -> None:
    """Once a step's outputs are published. Those of another process at work stay."""
    step = _step_folder(identity)
    if held := _HELD.pop(step, None):
        folder, lock = held
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
    for folder in step.iterdir() if step.is_dir() else ():
        _remove_unless_used(folder)
    with suppress(OSError):  # another process works there
        step.rmdir()


def kept_trainings() -> list[str]:
    """What this process has kept, such as "student up to step 120"."""
    trainings = [one for folder, _ in _HELD.values() for one in sorted(folder.glob("*/"))]
    steps = {one.name.split("-")[0]: max(_found(one), default=0) for one in trainings}
    return [f"{name} up to step {done}" for name, done in steps.items() if done]


def remove_all_but(folder: Path, kept: set[Path]) -> None:
    """Remove a training's checkpoints but these."""
    for found in _found(folder).values():
        if found not in kept:
            discard(digest_file(found))  # first: without it the rest does not count
            discard(found)


def checkpoints_folder() -> Path:
    """DECANT_CHECKPOINTS, or a folder of the cache."""
    return Path(os.environ.get(VARIABLE) or cache_folder() / "checkpoints")


def _outlives_this_process() -> bool:
    """Several nodes share no cache, and a pod's goes with it, unless the user has said so."""
    return is_on_one_node() and "KUBERNETES_SERVICE_HOST" not in os.environ


def _training(name: str, device: str, threads: Mapping[str, int]) -> str:
    """The name of its folder, such as "student-cpu-1-blas=2-torch=2"."""
    return "-".join([name, device, str(count()), *in_words(threads).split()])


def _name_other_ways(own: Path) -> None:
    """Log where this training stands on another device, with other processes or other threads."""
    name, *here = own.name.split("-")
    kept = {
        other.name: max(_found(other))
        for other in sorted(own.parent.parent.glob(f"*/{name}-*"))
        if other.name != own.name and _found(other)
    }
    for other, steps in kept.items():
        log_line(
            f"{name} was kept up to step {steps} with {_way(other.split('-')[1:])}, which would go "
            f"on from there; with {_way(here)} it begins anew, since the result is another"
        )


def _way(parts: Sequence[str]) -> str:
    device, processes, *threads = parts
    return ", ".join([f"device {device}", f"processes {processes}", f"threads {' '.join(threads)}"])


def _step_folder(identity: str) -> Path:
    return checkpoints_folder() / text_digest(identity)[:32]


def _agreed_folder(identity: str, training: str) -> Path | None:
    """The folder that the first process has locked; None where the cache cannot be written."""
    number = -1
    if index() == 0:
        try:
            number = _locked_number(_step_folder(identity))
        except OSError as error:
            _refuse_or_warn(error)
    (number,) = agreed([number])
    return None if number < 0 else _step_folder(identity) / str(number) / training


def _locked_number(step: Path) -> int:
    """The first that no other process holds; this process keeps it."""
    if step not in _HELD:
        _sweep(checkpoints_folder())
        for number in itertools.count():
            folder = step / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / _LOCK)
            with suppress(Timeout):
                lock.acquire(timeout=0)
                _HELD[step] = (folder, lock)
                break
    return int(_HELD[step][0].name)


def _refuse_or_warn(error: OSError) -> None:
    root = checkpoints_folder()
    if os.environ.get(VARIABLE):
        raise UserError(
            f"cannot write into {VARIABLE} {root}: {error.strerror}",
            code="path-unwritable",
            hint="mount a volume there that user 10001 may write, or unset it",
        ) from None
    log_line(f"no checkpoints are kept in {root} ({error.strerror}): if killed, it begins anew")


def _last_usable(folder: Path) -> Path | None:
    """The last intact one whose best epoch is intact too. Damaged ones are said and removed."""
    found = _found(folder)
    for steps in sorted(found, reverse=True):
        if is_intact(found[steps]):
            best = read_json(found[steps] / STATE)["best_global_step"]
            if best in (None, steps) or (best in found and is_intact(found[best])):
                return found[steps]
    return None


def _adopted(own: Path) -> Path | None:
    """From the folder of a process that still works there, or seems to.

    A lost node's lock may stay on a network volume. What has a digest never changes, and links let
    its owner remove it.
    """
    others = [folder for folder in own.parent.parent.glob(f"*/{own.name}") if folder != own]
    for other in sorted(others, key=lambda folder: max(_found(folder), default=0), reverse=True):
        for checkpoint in _found(other).values():
            with suppress(OSError):
                own.mkdir(parents=True, exist_ok=True)
                link_or_copy(digest_file(checkpoint), digest_file(own / checkpoint.name))
                shutil.copytree(checkpoint, own / checkpoint.name, copy_function=link_or_copy)
        if last := _last_usable(own):
            return last
        remove_all_but(own, set())
    return None


def _found(folder: Path) -> dict[int, Path]:
    return {_steps(path): path for path in folder.glob("checkpoint-*") if path.is_dir()}


def _of(folder: Path, steps: int) -> Path:
    return folder / f"checkpoint-{steps}"


def _steps(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _sweep(root: Path) -> None:
    """Remove what nobody has gone on with, so that the disk does not fill up."""
    removed, size, before = 0, 0, time.time() - ABANDONED_DAYS * _DAY_SECONDS
    for folder in root.glob("*/*/"):
        if not (_STEP.fullmatch(folder.parent.name) and folder.name.isdecimal()):
            continue  # the user's own, where DECANT_CHECKPOINTS names a folder with other things
        try:
            files = [path.stat() for path in (folder, *folder.rglob("*"))]
        except OSError:  # another process removes it, or works there
            continue
        if max(one.st_mtime for one in files) < before and _remove_unless_used(folder):
            removed, size = removed + 1, size + sum(one.st_size for one in files)
            with suppress(OSError):
                folder.parent.rmdir()
    if removed:
        log_line(
            f"removed the checkpoints of {removed} steps that were cut off over {ABANDONED_DAYS} "
            f"days ago ({size / 1e6:.0f} MB in {root})"
        )


def _remove_unless_used(folder: Path) -> bool:
    """Whether it was removed."""
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    return not folder.exists()
