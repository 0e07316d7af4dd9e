"""Full disks and missing rights: a step says so in one message, and goes through without them."""

import ctypes
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from decant.runtime.steps import STEPS, load_step
from tests.chaos.attack import Attack, Attempt, attempt
from tests.chaos.command import environment, finished
from tests.chaos.unharmed import Unharmed, tracking_of, unharmed

COUNT = 30
SECONDS = 110.0
WORKERS = 2

_C = ctypes.CDLL(None)  # here: between fork and exec nothing should be loaded
_DROP_FROM_BOUNDS, _DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER = 24, 1, 2, 3  # linux/prctl.h


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """The steps' unharmed outputs are what is read, and what is compared with."""
    whole = unharmed()
    can_mount = _can_mount(folder)
    kinds = ["limited", "small", "read-only", "unreadable"] if can_mount else _UNMOUNTED

    def attack(draw: random.Random, own: Path) -> Attempt:
        kind, step = draw.choice(kinds), draw.choice(STEPS)
        return _HARMS[kind](whole, step, draw, own)

    yield attack


def limited(whole: Unharmed, step: str, draw: random.Random, own: Path) -> Attempt:
    """No file may be larger than the limit."""
    size = int(10 ** draw.uniform(1, 5.5))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return _tried(f"no file over {size} bytes, in {step}", whole, step, own, before=limit)


def small(whole: Unharmed, step: str, draw: random.Random, own: Path) -> Attempt:
    """One of the folders is on a disk that has room for less than the step writes."""
    place = draw.choice(_PLACES)
    kib = int(2 ** draw.uniform(2, 9))
    done = f"{place} is on a disk of {kib} KiB, in {step}"
    return _tried(done, whole, step, own, harm=lambda: _small_disk(own / place, kib))


def read_only(whole: Unharmed, step: str, draw: random.Random, own: Path) -> Attempt:
    """One of the folders cannot be written."""
    place = draw.choice(_PLACES)
    done = f"{place} cannot be written, in {step}"
    return _tried(
        done, whole, step, own, before=_without_roots_rights, harm=lambda: _mode(own / place, 0o555)
    )


def unreadable(whole: Unharmed, step: str, draw: random.Random, own: Path) -> Attempt:
    """A file that the step reads, or a folder, cannot be read."""
    readers = [name for name in STEPS if load_step(name).input_ports]  # ingest has none
    step = step if step in readers else draw.choice(readers)
    inputs = whole.copy_inputs(step, own / "inputs")
    victim = draw.choice(sorted(inputs.rglob("*")))
    done = f"{victim.relative_to(inputs)} cannot be read, in {step}"
    return _tried(
        done,
        whole,
        step,
        own,
        inputs=inputs,
        before=_without_roots_rights,
        harm=lambda: _mode(victim, 0),
    )


_PLACES = ("outputs", "cache", "tmp")
_HARMS: dict[str, Callable[[Unharmed, str, random.Random, Path], Attempt]] = {
    "limited": limited,
    "small": small,
    "read-only": read_only,
    "unreadable": unreadable,
}
_UNMOUNTED = [kind for kind in _HARMS if kind != "small"]


def _tried(
    done: str,
    whole: Unharmed,
    step: str,
    own: Path,
    *,
    inputs: Path | None = None,
    before: Callable[[], None] | None = None,
    harm: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Attempt:
    """The step with the harm; where it ended with an error, then without."""
    for place in _PLACES:
        (own / place).mkdir(exist_ok=True)
    outputs = own / "outputs"
    words = whole.words(step, outputs, inputs)
    given = environment(own, **tracking_of(step))
    with harm():
        ended = finished(words, own, given, before=before)
        if ended.code == 0:
            return attempt(done, ended, whole.difference(step, outputs))
        half = [path.name for path in outputs.iterdir()] if os.access(outputs, os.R_OK) else []
    if half:
        return attempt(done, ended, f"left behind in the outputs: {', '.join(half)}")
    again = finished(words, own, given)
    wrong = whole.difference(step, outputs) if again.code == 0 else f"and then: {again.output}"
    return attempt(done, ended, wrong)


@contextmanager
def _small_disk(folder: Path, kib: int) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _mode(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


def _can_mount(folder: Path) -> bool:
    """Root may, where the machine lets it."""
    if os.geteuid() != 0:
        return False
    trial = folder / "trial"
    trial.mkdir()
    try:
        with _small_disk(trial, 16):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _without_roots_rights() -> None:
    """In the child: root may read and write all, whatever a file's mode, until it gives that up."""
    if os.geteuid() != 0 or sys.platform != "linux":
        return
    for right in (_DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER):
        if _C.prctl(_DROP_FROM_BOUNDS, right, 0, 0, 0):
            os._exit(99)
