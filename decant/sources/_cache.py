"""The cache of fetched sources: an entry is there whole or not at all.

<root>/<kind>/<key>/content/NAME   the file or folder
<root>/<kind>/<key>/pin            a digest or a revision
<root>/<kind>/<key>/sha256         the digest of both, as they were fetched

The root is $DECANT_CACHE, or the user's cache folder. Two processes may fetch the same source at
once: a lock per entry lets one of them work and the other wait.

An entry is verified when it is first used in a process. A damaged one is logged and fetched again.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from decant.runtime.cache_folder import Signature, cache_folder, discard, signature
from decant.runtime.errors import UserError
from decant.runtime.identity import content_digest, text_digest
from decant.runtime.log_lines import log_line
from decant.runtime.publishing import publish

# Puts the content into the folder and returns its pin.
Fill = Callable[[Path], str]

_DIGEST = "sha256"
_VERIFIED: dict[Path, Signature] = {}  # of this process
_MAY_FILL: ContextVar[bool] = ContextVar("may_fill", default=True)


class NotCached(Exception):
    """Within `only_cached`: the entry would have to be fetched."""


@dataclass(frozen=True)
class Entry:
    """A cached source: its one file or folder (None when only a pin is kept), and its pin."""

    path: Path | None
    pin: str


def cached(kind: str, key: str, fill: Fill) -> Entry:
    """The entry under the key; filled by `fill` the first time, and again when it is damaged."""
    parent = cache_folder() / kind
    folder = parent / key
    if not _is_intact(folder):
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
            if not _is_intact(folder):
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


def _is_intact(folder: Path) -> bool:
    """Whether the entry is there as it was fetched; read whole once per process."""
    now = signature(folder)
    if now is None:
        return False
    if _VERIFIED.get(folder) == now:
        return True
    if _problem(folder):
        return False
    _VERIFIED[folder] = now
    return True


def _problem(folder: Path) -> str:
    """What is wrong with an entry, to follow its name; empty when nothing is."""
    if not (folder / _DIGEST).is_file():
        return "has no digest"
    try:
        expected = (folder / _DIGEST).read_text("utf-8", "replace")
        found = _digest_of(folder)
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    return "" if found == expected else f"is damaged (sha256 {found}, fetched was {expected})"


def _digest_of(folder: Path) -> str:
    """Of the content and the pin."""
    pin = (folder / "pin").read_text("utf-8")
    names = sorted(path.name for path in (folder / "content").iterdir())
    return text_digest("\n".join([pin, *names, content_digest(folder / "content")]))


def _make(folder: Path, fill: Fill) -> None:
    """What is there stays until the new one is whole: it may be all that is left of its source."""
    if folder.exists():
        shown = f"{folder.parent.name}/{folder.name} in the cache"
        log_line(f"{shown} {_problem(folder)}: it is fetched again")
    partial = folder.with_name(f".{folder.name}.partial")  # the lock excludes other processes
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (partial / "content").mkdir(parents=True)
        pin = fill(partial / "content")
        (partial / "pin").write_text(pin, "utf-8")
        (partial / _DIGEST).write_text(_digest_of(partial), "utf-8")
        discard(folder)
        publish(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
