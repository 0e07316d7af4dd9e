"""Commands under attack: in processes of their own, or in this one."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from types import FrameType

import psutil

from decant.runtime.ending import exit_on_error
from decant.runtime.identity import PROJECT
from tests.chaos.attack import Ended
from tests.chaos.forked import ForkedStep, is_step

LIMIT_SECONDS = 300.0
_REST_SECONDS = 5.0


INTERRUPTED = threading.Event()  # Ctrl-C: no command is started any more


class Stopped(BaseException):
    """A command was to be started after Ctrl-C."""


class Hung(BaseException):
    """A call in this process is past its limit. No `except Exception` takes it."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Of a command whose cache, temporary files and tracking stay in `folder`."""
    (folder / "tmp").mkdir(exist_ok=True)
    own = {
        "DECANT_CACHE": str(folder / "cache"),
        "TMPDIR": str(folder / "tmp"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "DECANT_TRACKING": "off",
        "DECANT_SPOOL": str(folder / "spool"),
        "DECANT_RETRY_SECONDS": "0",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "true",
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return os.environ | own | more


class Running:
    """A command at work. What it prints is read as it comes: it may not write to any disk."""

    def __init__(self, process: "subprocess.Popen[bytes] | ForkedStep") -> None:
        self.process = process
        self._printed = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self._printed.decode("utf-8", "replace")

    def tree(self) -> list[psutil.Process]:
        """The command and all that it has started, as far as they are alive."""
        with suppress(psutil.NoSuchProcess):
            whole = psutil.Process(self.process.pid)
            return [whole, *whole.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """Of all of it, what has ended included: it depends less on what else runs than a clock."""
        total = 0.0
        for one in self.tree():
            with suppress(psutil.NoSuchProcess):
                total += sum(one.cpu_times()[:4])
        return total

    def end(self) -> None:
        """Kill it and what it started, then read the rest."""
        for one in [*self.tree(), *members(self.process.pid)]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.kill()
        self.process.wait()
        self._reader.join(_REST_SECONDS)

    def _read(self) -> None:
        assert self.process.stdout
        while part := self.process.stdout.read1(1 << 16):
            self._printed += part


@contextmanager
def started(
    words: Sequence[str],
    folder: Path,
    given: dict[str, str],
    before: Callable[[], None] | None = None,
) -> Iterator[Running]:
    """A command that runs in `folder`; at the block's end nothing of it is left.

    A step is forked from a process with the libraries, unless something is to be done before.

    Args:
        before: called in its process before it begins, such as to set limits.
    """
    if INTERRUPTED.is_set():
        raise Stopped
    is_forked = is_step(words) and before is None
    running = Running(
        ForkedStep(words, folder, given) if is_forked else _begun(words, folder, given, before)
    )
    try:
        yield running
    finally:
        running.end()


def _begun(
    words: Sequence[str],
    folder: Path,
    given: dict[str, str],
    before: Callable[[], None] | None,
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        words,
        cwd=folder,
        env=given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=before,
    )


def finished(
    words: Sequence[str],
    folder: Path,
    given: dict[str, str],
    *,
    limit_seconds: float = LIMIT_SECONDS,
    before: Callable[[], None] | None = None,
) -> Ended:
    """The command's end; past the limit it is killed, with all that it started."""
    code: int | None = None
    with started(words, folder, given, before) as running, suppress(subprocess.TimeoutExpired):
        code = running.process.wait(limit_seconds)
    return Ended(code=code, output=running.output)


def members(session: int) -> list[psutil.Process]:
    """What is alive of a command's session but the command itself: `started` gives it one."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.Error):
            is_dead = process.status() == psutil.STATUS_ZOMBIE
            if process.pid != session and os.getsid(process.pid) == session and not is_dead:
                found.append(process)
    return found


def finished_here(call: Callable[[], object], limit_seconds: float = 60.0) -> Ended:
    """A call in this process, on its main thread, ended as every command of Decant is."""
    out = io.StringIO()
    code: int | None = 0
    with redirect_stdout(out), redirect_stderr(out):
        try:
            with _limited(limit_seconds), exit_on_error():
                call()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        except Hung:
            code = None
    return Ended(code=code, output=out.getvalue())


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises Hung past the limit. Needs the main thread, which alone gets signals."""
    assert threading.current_thread() is threading.main_thread()

    def end(number: int, frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
