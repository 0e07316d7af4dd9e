"""`decant run` ends its steps when it is told to end; KFP's local runner would wait for them."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from decant.runtime.parent_watch import GRACE_SECONDS
from decant.runtime.termination import INTERRUPTED, TERMINATED


@contextmanager
def steps_end_with_this() -> Iterator[None]:
    """SIGTERM and Ctrl-C end all processes below this one, then unwind. Of the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: object) -> None:
        _end_children()
        sys.exit(INTERRUPTED if number == signal.SIGINT else TERMINATED)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_children() -> None:
    """They unwind, for some seconds; then they are killed."""
    import psutil  # here: the base installation has none, but the command's help

    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.Error):
            child.terminate()

    def kill() -> None:
        for child in children:
            with suppress(psutil.Error):  # psutil knows when a number is another process's
                child.kill()

    timer = threading.Timer(GRACE_SECONDS, kill)
    timer.daemon = True
    timer.start()
