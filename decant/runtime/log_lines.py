"""Lines that a person should see, from code that has no reporter: to the step's log, or here."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from decant.runtime.secrets import without_secrets


def log_line(line: str) -> None:
    """To the log of the block `logged_by` that runs; elsewhere to standard error."""
    _log(line)


@contextmanager
def logged_by(log: Callable[[str], None]) -> Iterator[None]:
    """Within the block the lines go to a log, such as a step's."""
    global _log
    before, _log = _log, log
    try:
        yield
    finally:
        _log = before


def _to_standard_error(line: str) -> None:
    print(f"warning: {without_secrets(line)}", file=sys.stderr, flush=True)


_log: Callable[[str], None] = _to_standard_error
