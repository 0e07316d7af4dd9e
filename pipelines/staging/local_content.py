"""The files of a source on this machine: exactly those that its digest covers."""

import os
from pathlib import Path

from decant.runtime.errors import UserError
from decant.runtime.identity import SIDECAR


def files_of(path: Path) -> list[tuple[str, Path]]:
    """Relative name (empty for a file itself) and file, in the order of the names.

    Raises UserError for a folder without files, and for a link to a folder or to nothing in it,
    which no digest covers, so that it would be left behind without a word.
    """
    if path.is_file():
        return [("", path)]
    files = []
    for folder, folders, names in os.walk(path, onerror=_unreadable):
        for one in [Path(folder, name) for name in (*folders, *names)]:
            if one.is_symlink() and not one.is_file():
                raise UserError(
                    f"'{one}' is a link to a folder or to nothing, which is not sent",
                    code="source-link",
                    hint="put the files themselves there, or name the folder to which it leads",
                )
            if one.is_file() and one.name != SIDECAR:
                files.append((one.relative_to(path).as_posix(), one))
    if not files:
        raise UserError(
            f"the folder '{path}' has no files",
            code="folder-empty",
            hint="name the folder that has the data or the encoder",
        )
    return sorted(files)


def shown_size(number: int) -> str:
    """Bytes, for people."""
    size = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


def _unreadable(error: OSError) -> None:
    raise UserError(f"'{error.filename}' cannot be read: {error.strerror}", code="file-unreadable")
