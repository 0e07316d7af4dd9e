"""A step ends when what started it has ended: `decant run`, DVC, or the first of its processes.

Whoever starts steps names itself in DECANT_PARENT; a thread of each step looks whether it still
runs. Polling, since it works on Linux and macOS alike and through the shells and launchers in
between: Linux's PR_SET_PDEATHSIG sees the direct parent alone, which is a shell or KFP's
executor, and a pipe that closes would have to be handed through them.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from decant.runtime.process import Process, dvc_above, read_tag, this_process

VARIABLE = "DECANT_PARENT"
LOOK_SECONDS = 1.0
GRACE_SECONDS = 30.0  # to unwind and to end the run in MLflow

_watching = threading.Event()


@contextmanager
def children_end_with_this() -> Iterator[None]:
    """Steps that are started within the block end when this process has ended, kill -9 too."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = this_process().as_tag()
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before


def end_with_parent() -> None:
    """Watch who started this step, if that is known, until this process ends.

    A container does not see it: `decant run` removes those of a run that was killed.
    """
    if not _watching.is_set() and (parent := _parent()) and parent.is_here:
        _watching.set()
        threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _parent() -> Process | None:
    if tag := os.environ.get(VARIABLE):
        return read_tag(tag)
    return dvc_above() if "DVC_STAGE" in os.environ else None


def _watch(parent: Process) -> None:
    while parent.is_alive:
        time.sleep(LOOK_SECONDS)
    with suppress(OSError):  # nobody may read it any more
        print(f"the process that started this step ({parent.pid}) is gone", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(143)
