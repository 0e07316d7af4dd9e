"""The console of the registry's commands: as wide as the terminal, and wide enough in a log."""

import sys

from rich.console import Console

_LOG_COLUMNS = 200


def open_console() -> Console:
    width = None if sys.stdout.isatty() else _LOG_COLUMNS
    return Console(width=width, soft_wrap=True, highlight=False, emoji=False)
