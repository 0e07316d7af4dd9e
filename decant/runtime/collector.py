"""Python's garbage collector, where it only costs time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collector() -> Iterator[None]:
    """Without it, and as before behind the block."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def objects_that_stay() -> Iterator[None]:
    """What the block makes lives as long as the process, as modules do: it is never looked through.

    The libraries of a step are hundreds of thousands of objects. Looking through them while they
    are imported took a quarter of a step's start, and once more at its end a second.
    """
    with no_collector():
        yield
        gc.freeze()
