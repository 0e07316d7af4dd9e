"""The cache of fetched sources: an entry is there whole or not at all.

<root>/<kind>/<key>/content/NAME   the file or folder
<root>/<kind>/<key>/pin            a digest or a revision

The root is $DECANT_CACHE, or the user's cache folder. Two processes may fetch the same source at
once: a lock per entry lets one of them work and the other wait.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from decant.runtime.cache_folder import cache_folder
from decant.runtime.errors import UserError

# Puts the content into the folder and returns its pin.
Fill = Callable[[Path], str]

_MAY_FILL: ContextVar[bool] = ContextVar("may_fill", default=True)


class NotCached(Exception):
    """Within `only_cached`: the entry would have to be fetched."""


@dataclass(frozen=True)
class Entry:
    """A cached source: its one file or folder (None when only a pin is kept), and its pin."""

    path: Path | None
    pin: str


def cached(kind: str, key: str, fill: Fill) -> Entry:
    """The entry under the key; filled by `fill` the first time, never changed after that."""
    parent = cache_folder() / kind
    folder = parent / key
    if not folder.is_dir():
        if not _MAY_FILL.get():
            raise NotCached(f"{kind}/{key}")
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the cache folder '{parent}' cannot be created: {error.strerror}",
                code="path-unwritable",
                hint="set DECANT_CACHE to a folder that can be written",
            ) from None
        with FileLock(parent / f"{key}.lock"):
            if not folder.is_dir():
                _make(folder, fill)
    content = sorted((folder / "content").iterdir())
    return Entry(content[0] if content else None, (folder / "pin").read_text("utf-8"))


@contextmanager
def only_cached() -> Iterator[None]:
    """Nothing is fetched in the block; what is not there raises NotCached."""
    token = _MAY_FILL.set(False)
    try:
        yield
    finally:
        _MAY_FILL.reset(token)


def content_of(entry: Entry) -> Path:
    """The path of an entry that has content."""
    if entry.path is None:
        raise ValueError("this entry keeps only a pin")
    return entry.path


def _make(folder: Path, fill: Fill) -> None:
    partial = folder.with_name(f".{folder.name}.partial")  # the lock excludes other processes
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (partial / "content").mkdir(parents=True)
        pin = fill(partial / "content")
        (partial / "pin").write_text(pin, "utf-8")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
