"""A step's command in a process that is forked from one which has loaded the libraries.

`python -m components STEP` spends most of its time on importing them. Attacks come after that here;
those on `dvc repro` and `decant run` have every process begin anew.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

from decant.runtime.steps import STEPS

_STEP = ("-m", "components")


def is_step(words: Sequence[str]) -> bool:
    """Whether the command is such a step."""
    return tuple(words[1:3]) == _STEP


class ForkedStep:
    """A step at work, with what is used here of a `subprocess.Popen`."""

    def __init__(self, words: Sequence[str], folder: Path, given: dict[str, str]) -> None:
        reader, writer = multiprocessing.Pipe(duplex=False)
        self._process = _server().Process(
            target=_run, args=(list(words[2:]), str(folder), given, writer)
        )
        self._process.start()
        writer.close()
        self.stdout = os.fdopen(os.dup(reader.fileno()), "rb")
        reader.close()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Negative: the number of the signal that ended it; None while it works."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("a forked step", timeout or 0)
        return self.returncode

    def kill(self) -> None:
        """With SIGKILL, if it has not ended."""
        self._process.kill()


@cache
def _server() -> ForkServerContext:
    """The process with the libraries; it begins with the first step, and ends with this process."""
    context = multiprocessing.get_context("forkserver")
    steps = [f"components.{step}.step" for step in STEPS]
    context.set_forkserver_preload(["decant.runner.step_command", "mlflow", *steps])
    return context


def _run(words: list[str], folder: str, given: dict[str, str], writer: Connection) -> None:
    """Become the command: its session, folder, variables, files, and its end."""
    os.setsid()
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for number in (1, 2):
        os.dup2(writer.fileno(), number)
    writer.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(given)
    tempfile.tempdir = None  # found anew, from the variables
    sys.argv = words
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which a forked process leaves out
