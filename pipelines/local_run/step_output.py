"""The output of a local run: that of the steps. What KFP prints around it goes to a file."""

import codecs
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from rich.console import Console

from decant.runner.relayed_output import FILE, WIDTH

KFP_LOG = "kfp.log"
LOOK_SECONDS = 0.1  # bars are redrawn ten times a second


@contextmanager
def steps_shown(root: Path) -> Iterator[None]:
    """Show what the steps print, while they print it; on a terminal with their bars.

    Args:
        root: a folder that the steps see under the same path, in a container too.
    """
    file = root / "steps.out"
    file.write_bytes(b"")  # without what an earlier attempt printed
    screen = Console()
    width = {WIDTH: str(screen.width)} if screen.is_interactive else {}
    relay = _Relay(file, sys.stdout)
    relay.start()
    try:
        with variables({FILE: str(file), **width}):
            yield
    finally:
        relay.end()
        if width:
            screen.show_cursor()  # a step that was killed beside its bar has not


@contextmanager
def kfp_kept(log: Path) -> Iterator[None]:
    """Write to the log what this process prints, logs and warns of: KFP's words on each step."""
    with (
        log.open("w", encoding="utf-8", buffering=1) as file,
        redirect_stdout(file),
        redirect_stderr(file),
    ):
        # KFP logs at the root, outside its own context too, and Python would add a handler then,
        # which outlives this block.
        handler = logging.StreamHandler(file)
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """The steps inherit it, and containers are given it."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Relay:
    """Copies what is appended to a file to a stream."""

    def __init__(self, file: Path, stream: TextIO) -> None:
        self._file, self._stream = file, stream
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Copies what is still there, then ends."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        text = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with self._file.open("rb") as source:
            while True:
                ended = self._ended.wait(LOOK_SECONDS)
                if part := source.read():
                    try:
                        self._stream.write(text.decode(part))
                        self._stream.flush()
                    except (OSError, ValueError):  # nobody reads it any more; the steps continue
                        return
                if ended:
                    return
