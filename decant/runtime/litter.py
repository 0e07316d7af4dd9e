"""Temporary files and folders whose names say which process made them.

    <number of the process>-<its start, in seconds>-<digest of its machine>

So the next run finds what a killed process has left, and leaves alone what another one needs.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from decant.runtime.identity import text_digest
from decant.runtime.log_lines import log_line
from decant.runtime.process import Process, host, this_process

_MARK = re.compile(r"(?<![0-9a-f])(?P<pid>\d+)-(?P<started>\d+)-(?P<host>[0-9a-f]{8})(?![0-9a-f])")
_DAY_SECONDS = 86400


def mark() -> str:
    """What names this process in a file's name."""
    process = this_process()
    return f"{process.pid}-{int(process.started)}-{_digest_of_host()}"


def is_left(path: Path) -> bool:
    """Whether the process that made a file or folder is gone for sure.

    Of another machine, and where the name does not say: nothing in it has changed for a day.
    """
    found = _MARK.search(path.name)
    if found and found["host"] == _digest_of_host():
        process = Process(host(), int(found["pid"]), float(found["started"]))
        return not process.is_alive
    try:
        inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
        newest: float = max(one.lstat().st_mtime for one in (path, *inside))
    except OSError:  # its process removes it, or works there
        return False
    return time.time() - newest > _DAY_SECONDS


def sweep(found: Iterable[Path]) -> list[Path]:
    """Remove what is left of these, and say so. Returns what was removed."""
    removed = [path for path in found if is_left(path) and _remove(path)]
    if removed:
        places = sorted({str(path.parent) for path in removed})
        log_line(f"removed {len(removed)} leftovers of killed processes in {', '.join(places)}")
    return removed


@contextmanager
def temporary_folder(what: str) -> Iterator[Path]:
    """In the system's temporary folder, removed at the block's end, or by a later `sweep`."""
    with tempfile.TemporaryDirectory(prefix=f"decant-{what}-{mark()}-") as folder:
        yield Path(folder)


@contextmanager
def temporary_files_together(what: str) -> Iterator[None]:
    """Within the block, temporary files of libraries lie in one folder that says whose they are.

    So a later `sweep` finds what they leave after kill -9. Where that folder cannot be made, such
    as on a full disk, they lie where they would without it.
    """
    folder = before = tempfile.gettempdir()
    with suppress(OSError):
        folder = tempfile.mkdtemp(prefix=f"decant-{what}-{mark()}-")
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
        if folder != before:
            shutil.rmtree(folder, ignore_errors=True)


def temporary_folders() -> Iterator[Path]:
    """Those of all processes that said whose they are."""
    for path in Path(tempfile.gettempdir()).glob("decant-*"):
        if _MARK.search(path.name):
            yield path


@cache
def _digest_of_host() -> str:
    return text_digest(host())[:8]


def _remove(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:  # another user's, or another process was faster
        return False
    return True
