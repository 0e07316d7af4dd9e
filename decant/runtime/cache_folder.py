"""Where downloads and computed values are kept between runs, each with the digest of its bytes.

NAME           a computed file or folder
NAME.sha256    its digest; a file without one does not count

It is verified when it is first used in a process. A damaged one is logged, removed, and made
again: under one name there is never another content.
"""

import os
import re
import shutil
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

import platformdirs

from decant.runtime.errors import UserError
from decant.runtime.identity import content_digest
from decant.runtime.litter import mark, sweep
from decant.runtime.log_lines import log_line
from decant.runtime.publishing import publish, sync_content

DIGEST_SUFFIX = ".sha256"
# The second is of earlier versions.
_PARTIAL = re.compile(r"\.(\d+-\d+-[0-9a-f]{8}-[0-9a-f]{8}|[0-9a-f]{32})\.")
# Of each file its path, size, time of the last change and inode.
Signature = tuple[tuple[str, int, int, int], ...]
_VERIFIED: dict[Path, Signature] = {}  # of this process


def cache_folder() -> Path:
    """DECANT_CACHE, or the user's cache folder."""
    return Path(os.environ.get("DECANT_CACHE") or platformdirs.user_cache_dir("decant"))


def write_once(file: Path, write: Callable[[Path], None]) -> None:
    """Have `write` make a file or folder beside `file`, then rename it: whole or not at all.

    Its digest is published first, so that a file whose writer was killed does not count.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    _sweep_once(file.parent)
    partial = _partial(file.name, file.parent)
    try:
        write(partial)
        _publish_digest(partial, file)
        publish(partial, file)
        if written := signature(file):
            _VERIFIED[file] = written
    finally:
        _remove(partial)


def seal(path: Path) -> None:
    """Give a file or folder that another program has written its digest: from now on it counts."""
    sync_content(path)
    _publish_digest(path, path)
    if written := signature(path):
        _VERIFIED[path] = written


def is_intact(file: Path) -> bool:
    """Whether there is a file as `write_once` wrote it; read whole once per process.

    A damaged one is logged and removed. Raises UserError where it cannot be removed.
    """
    now = signature(file)
    if now is None:
        return False
    if _VERIFIED.get(file) == now:
        return True
    if problem := _problem(file):
        if signature(file) == now:  # else another process was faster
            log_line(f"{file} {problem}: it is removed and made again")
            discard(file)
            discard(digest_file(file))
        return False
    _VERIFIED[file] = now
    return True


def signature(path: Path) -> Signature | None:
    """What changes when a process writes to a file or into a folder; None where there is none."""
    try:
        found = [(one, one.stat()) for one in (path, *sorted(path.rglob("*")))]
    except OSError:
        return None
    return tuple(
        (str(one), status.st_size, status.st_mtime_ns, status.st_ino) for one, status in found
    )


def discard(path: Path) -> None:
    """Remove a file or a folder, if it is there. Raises UserError where that is not allowed."""
    try:
        _remove(path)
    except OSError as error:
        raise UserError(
            f"{path} in the cache is damaged and cannot be removed: {error.strerror}",
            code="path-unwritable",
            hint="remove it, or set DECANT_CACHE to another folder",
        ) from None


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """A second name of a file that is never changed; a copy where the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def digest_file(file: Path) -> Path:
    """Where the digest of a file or folder stands."""
    return file.with_name(file.name + DIGEST_SUFFIX)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _partial(name: str, folder: Path) -> Path:
    """Its process is in its name; threads may write the same file at once."""
    return folder / f".{mark()}-{uuid.uuid4().hex[:8]}.{name}"


@cache
def _sweep_once(folder: Path) -> None:
    """Once per process: a folder may have thousands of files."""
    sweep(path for path in folder.glob(".*") if _PARTIAL.match(path.name))


def _publish_digest(content: Path, file: Path) -> None:
    """Of the content, as that of `file`."""
    partial = _partial(file.name + DIGEST_SUFFIX, file.parent)
    try:
        partial.write_text(content_digest(content) + "\n", "utf-8")
        publish(partial, digest_file(file))
    finally:
        partial.unlink(missing_ok=True)


def _problem(file: Path) -> str:
    """What is wrong with a file, to follow its name; empty when nothing is."""
    try:
        expected = digest_file(file).read_text("utf-8", "replace").strip()
        found = content_digest(file)
    except FileNotFoundError:
        return "has no digest beside it"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if found == expected else f"is damaged (sha256 {found}, written was {expected})"
