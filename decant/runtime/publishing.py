"""Publishing: a finished file or folder gets its name when all its bytes are on the disk.

Without that a power cut can leave the name of a whole file on an empty one.
"""

import errno
import glob
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from decant.runtime.litter import is_left, mark, sweep
from decant.runtime.log_lines import log_line

# File systems without it, such as some network ones, answer so.
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF})


def publish(finished: Path, target: Path) -> None:
    """Rename, after the bytes of a file, or of all files in a folder, are on the disk.

    A file replaces the one at the target. A folder needs a free name. Both must be on one file
    system. Raises OSError.
    """
    sync_content(finished)
    finished.replace(target)
    sync_folder(target.parent)


def publish_together(folders: Mapping[Path, Path]) -> None:
    """Give several finished folders the names of their targets, whose old folders are removed.

    An error between two of them, Ctrl-C and SIGTERM too, puts the old ones back. After kill -9 old
    and new ones stand side by side: their cards have different identities. Raises OSError.
    """
    for finished in folders:
        sync_content(finished)
    aside = {
        target: target.with_name(f".{target.name}.old-{mark()}") for target in folders.values()
    }
    try:
        for finished, target in folders.items():
            if target.exists():
                target.rename(aside[target])
            finished.rename(target)
    except BaseException:
        for finished, target in folders.items():
            if not finished.exists():  # it has been renamed
                shutil.rmtree(target, ignore_errors=True)
            if aside[target].exists():
                aside[target].rename(target)
        raise
    for target, old in aside.items():
        sync_folder(target.parent)
        shutil.rmtree(old, ignore_errors=True)


def tidy_up(targets: Iterable[Path]) -> None:
    """Remove what killed processes have left beside the targets; an output set aside comes back.

    Its process was killed between two renames: it is all that there is.
    """
    for target in targets:
        name = glob.escape(target.name)
        aside = list(target.parent.glob(f".{name}.old-*"))
        for old in sorted(aside, key=lambda path: path.stat().st_mtime, reverse=True):
            if not target.exists() and is_left(old):
                old.rename(target)
                log_line(f"{target} is back: a killed process had set it aside")
        sweep([*target.parent.glob(f".{name}.old-*"), *target.parent.glob(f".{name}.partial-*")])


def sync_content(path: Path) -> None:
    """Put the bytes of a file, or of all files in a folder, on the disk. Raises OSError."""
    if not path.is_dir():
        _sync(path)
        return
    for inside in path.iterdir():
        if not inside.is_symlink():
            sync_content(inside)
    sync_folder(path)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the file system can."""
    if os.name != "nt":  # opens no folders
        _sync(folder)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(number)
