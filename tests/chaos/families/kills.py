"""kill -9 and SIGTERM at any moment: the same command again ends as if nothing had been.

A moment is a share of the command's CPU time without harm: a clock would depend on what else runs.
"""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from decant.runtime.steps import STEPS
from decant.runtime.termination import TERMINATED
from decant.training import saving
from tests.chaos.attack import TRACEBACK, Attack, Attempt, Ended, attempt
from tests.chaos.command import LIMIT_SECONDS, Running, finished, started
from tests.chaos.killed_commands import WHOLE, Command, step_alone, template_checkout, whole_flow
from tests.chaos.unharmed import unharmed

COUNT = 60
SECONDS = 400.0
WORKERS = 2

_POLL_SECONDS = 0.05
_OUTLIVING_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What is killed when, and how.

    Attributes:
        command: a step, or one that runs them all.
        share: of its CPU time.
        victim: of its processes; 0 is the command itself, further ones are what it started.
        saves: seconds between two checkpoints.
    """

    command: str
    share: float
    signal: signal.Signals
    victim: int
    saves: str

    def __str__(self) -> str:
        whom = f"process {self.victim} of {self.command}" if self.victim else self.command
        return (
            f"{self.signal.name} to {whom} at {self.share:.0%} of its work, "
            f"{self.saves} s between checkpoints, then the same again"
        )


def planned(number: int, draw: random.Random) -> Kill:
    """Every eighth kills a command that runs all steps; the others take the steps in turn."""
    if number % 8 == 7:
        command = WHOLE[number // 8 % len(WHOLE)]
    else:
        command = STEPS[(number - number // 8) % len(STEPS)]
    return Kill(
        command=command,
        share=draw.random(),
        signal=draw.choice([signal.SIGKILL, signal.SIGTERM]),
        victim=draw.choice([0, 0, 1, 2]) if command in WHOLE else 0,
        saves=draw.choice(["0", "60"]),
    )


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """The steps' unharmed outputs, and a checkout for DVC."""
    whole = unharmed()
    checkout = template_checkout(folder, whole)

    def attack(draw: random.Random, own: Path) -> Attempt:
        kill = planned(int(own.name), draw)
        given = {saving.VARIABLE: kill.saves}
        if kill.command in STEPS:
            return killed(kill, step_alone(kill.command, whole, own, **given))
        return killed(kill, whole_flow(kill.command, whole, own, checkout, **given))

    yield attack


def killed(kill: Kill, command: Command) -> Attempt:
    """The killed run says nothing wrong and leaves no process, and the next one ends equal."""
    code: int | None = None
    with started(command.words, command.folder, command.given) as running:
        tree = _wait(running, kill.share * command.cpu_seconds)
        with suppress(psutil.NoSuchProcess):
            if tree:
                tree[min(kill.victim, len(tree) - 1)].send_signal(kill.signal)
        with suppress(subprocess.TimeoutExpired):
            code = running.process.wait(LIMIT_SECONDS)
        outliving = psutil.wait_procs(tree[1:], timeout=_OUTLIVING_SECONDS)[1]
    first = Ended(code=code, output=running.output)
    wrong = _wrong_end(kill, code)
    if outliving:
        wrong = f"{len(outliving)} processes outlive it"
    if wrong or code is None or TRACEBACK in first.output:
        return attempt(str(kill), first, wrong)
    again = finished(command.words, command.folder, command.given)
    output = f"{first.output}\n-- code {code}; again:\n{again.output}"
    wrong = command.wrong() if again.code == 0 else "the same command again fails"
    return attempt(str(kill), Ended(code=again.code, output=output), wrong)


def _wait(running: Running, cpu_seconds: float) -> list[psutil.Process]:
    """Until it has worked so long, or has ended. Returns its processes."""
    tree = running.tree()
    while running.process.poll() is None and running.cpu_seconds() < cpu_seconds:
        tree = running.tree()
        time.sleep(_POLL_SECONDS)
    return tree


def _wrong_end(kill: Kill, code: int | None) -> str:
    """Whether its own end says something else than what was done to it."""
    if kill.victim:
        return ""  # it may have had none, or one that nothing depends on
    expected = {0, -kill.signal} | ({TERMINATED} if kill.signal == signal.SIGTERM else set())
    return "" if code in expected else f"the killed run ended with {code}"
