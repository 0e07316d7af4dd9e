"""How a command ends when it is told to: by SIGTERM (`kill`, an evicted pod), and by Ctrl-C."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143  # 128 and the signal
UNWINDING_SECONDS = 2.0  # who is told again after that is meant to give up
# A library may keep what the signal raised, or wait for ever for work that it has interrupted
# itself (DuckDB, rarely). Unwinding takes a minute at most, for a tracking server that is away.
GIVING_UP_SECONDS = 90.0
_AGAIN_SECONDS = 0.05
_NAMES = {INTERRUPTED: "Ctrl-C", TERMINATED: "SIGTERM"}
_told = -UNWINDING_SECONDS  # when
_raised: int | None = None  # the exit code of the signal that unwinds
_show_dropped = sys.unraisablehook
_is_over = False  # whether only Python's own end is left
_held = 0  # blocks of `ended_later`
_waiting: set[int] = set()  # signals that came within one


def end_on_termination() -> None:
    """Let SIGTERM unwind as Ctrl-C does: outputs stay whole, the run ends.

    A terminal's Ctrl-C reaches a step twice, from `decant run` too: the second signal must not cut
    off what the first one takes back.
    """
    global _is_over, _raised, _show_dropped
    if threading.current_thread() is not threading.main_thread():
        return
    _is_over, _raised = False, None
    if sys.unraisablehook is not _raise_again:
        _show_dropped, sys.unraisablehook = sys.unraisablehook, _raise_again
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def let_exit_finish() -> None:
    """After the work: what libraries do at Python's end is short, and takes no exception.

    Who is told to end again after some seconds is meant to end at once.
    """
    global _is_over
    _is_over = True


@contextmanager
def ended_later() -> Iterator[None]:
    """SIGTERM and Ctrl-C wait for the block's end.

    Where a library in Rust calls back into Python, what the signal raises would be a crash.
    """
    global _held
    _held += 1
    try:
        yield
    finally:
        _held -= 1
        while _waiting and not _held:
            signal.raise_signal(_waiting.pop())


def _end(number: int, _: FrameType | None) -> None:
    global _told, _raised
    if _held:
        _waiting.add(number)
        return
    before, _told = _told, time.monotonic()
    if _told - before < UNWINDING_SECONDS:
        return
    if _is_over:
        if before > 0:
            os._exit(TERMINATED if number == signal.SIGTERM else INTERRUPTED)
        return
    _raised = INTERRUPTED if number == signal.SIGINT else TERMINATED
    giving_up = threading.Timer(GIVING_UP_SECONDS, _give_up, [_told])
    giving_up.daemon = True
    giving_up.start()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(TERMINATED)


def _raise_again(ignored: "sys.UnraisableHookArgs") -> None:
    """Python drops, with a traceback, what a signal raised within `__del__` or a callback."""
    global _told
    if _raised is None or ignored.exc_type not in (SystemExit, KeyboardInterrupt):
        _show_dropped(ignored)
        return
    _told = -UNWINDING_SECONDS
    number = signal.SIGINT if _raised == INTERRUPTED else signal.SIGTERM
    again = threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()


def _give_up(told: float) -> None:
    """End a process that is still there: to what it has begun it is as `kill -9`, which is safe."""
    if _raised is None or told != _told:
        return
    with suppress(OSError, ValueError):
        print(
            f"ended by {_NAMES[_raised]}: it did not unwind within {GIVING_UP_SECONDS:g} s",
            file=sys.stderr,
            flush=True,
        )
    os._exit(_raised)


def told_to_end(error: BaseException) -> int | None:
    """The exit code, where SIGTERM or Ctrl-C unwinds; None for a mistake.

    A library may have put an error of its own in the place of what the signal raised, as DuckDB
    does ("Query interrupted").
    """
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) and error.code in _NAMES else None
    return _raised


@contextmanager
def says_what_is_kept(kept: Callable[[], str]) -> Iterator[None]:
    """Where SIGTERM or Ctrl-C ends the block, one line on standard error, then code 143 or 130.

    Args:
        kept: what is kept and how to go on, to follow "ended by SIGTERM: ".
    """
    try:
        yield
    except BaseException as end:
        code = told_to_end(end)
        if code is None:
            raise
        with suppress(OSError, ValueError):  # nobody may read it any more
            print(f"ended by {_NAMES[code]}: {kept()}", file=sys.stderr, flush=True)
        raise SystemExit(code) from None
