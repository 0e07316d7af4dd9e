"""How a command ends when the user made a mistake: one message, exit code 2, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from decant.runtime.errors import UserError, show_error


@contextmanager
def mistakes_shown() -> Iterator[None]:
    """Show a UserError of the block on standard error and leave the process with code 2."""
    try:
        yield
    except UserError as error:
        show_error(error)
        sys.exit(2)
