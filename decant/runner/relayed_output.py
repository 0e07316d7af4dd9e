"""A step's output under `decant run`: straight to whoever called it, past KFP's local runner.

That runner reads a step's output line by line, which no progress bar survives, and mixes it with
its own. So the caller (pipelines/local_run/step_output.py) names a file, shows what is appended to
it, and keeps the rest for itself. A file reaches a container's caller too, and blocks nobody.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TextIO

from rich.console import Console
from rich.markup import escape

from decant.runtime.progress_lines import duration
from decant.runtime.steps import STEPS
from decant.runtime.termination import told_to_end

FILE = "DECANT_OUTPUT"  # where to append the output
WIDTH = "DECANT_OUTPUT_WIDTH"  # in characters, of the terminal that shows it; unset without one


def is_relayed() -> bool:
    """Whether this process's output is relayed by the one that started it."""
    return FILE in os.environ


@contextmanager
def relayed_output(step: str) -> Iterator[None]:
    """Append what this process prints to the file in DECANT_OUTPUT, with a line before and after.

    After an error the output stays there, since Python has its traceback yet to print; whoever
    interrupts needs none. Without the variable nothing changes.
    """
    if not is_relayed():
        yield
        return
    if width := os.environ.get(WIDTH):
        os.environ |= {"TTY_COMPATIBLE": "1", "COLUMNS": width}  # which rich reads
    before = _redirect(os.environ[FILE])
    console, started = Console(soft_wrap=True, highlight=False), time.perf_counter()
    title = escape(f"[{STEPS.index(step) + 1}/{len(STEPS)}] {step}")
    console.print(f"[bold]{title}[/]")

    def ended(how: str) -> None:
        console.print(f"{how} {duration(time.perf_counter() - started)}")

    try:
        yield
    except BaseException as error:
        if told_to_end(error):
            ended(f"[bold red]{title} interrupted[/] after")
            _restore(*before)
            raise
        ended(f"[bold red]{title} failed[/] after")
        raise
    ended(f"[bold green]{title} done[/] in")
    _restore(*before)


def _redirect(file: str) -> tuple[int, int]:
    """Returns copies of standard output and error as they were."""
    _flush()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # it is read while the step runs
    before = (os.dup(1), os.dup(2))
    # What libraries log goes where KFP has set it up to go: it is the executor's, not the step's.
    _log_to(os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1))
    target = os.open(file, os.O_WRONLY | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(target, descriptor)  # child processes print there too
    os.close(target)
    return before


def _restore(output: int, error: int) -> None:
    _flush()
    for before, descriptor in ((output, 1), (error, 2)):
        os.dup2(before, descriptor)
        os.close(before)
    _log_to(sys.stdout)


def _log_to(stream: TextIO) -> None:
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(stream)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
