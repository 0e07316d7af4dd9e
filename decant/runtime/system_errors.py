"""Errors of the system in words for the user: full disks, missing rights, too little memory.

They are no mistake of a command and no bug of Decant: each is one message with path and cause.

A library in another language has its own exceptions for them. Their text has the system's sentence.
"""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from decant.runtime.errors import UserError
from decant.runtime.secrets import without_secrets


@dataclass(frozen=True)
class _Kind:
    """`problem` follows the path, or stands alone where it is not known."""

    code: str
    problem: str
    hint: str


_ROOM = "make room there, or set TMPDIR, DECANT_CACHE or the output folders to another disk"
_RIGHTS = "give this process the right to it{user}, or set another folder"
_FULL = _Kind("disk-full", "there is no room left on the disk", _ROOM)
_MEMORY = _Kind(
    "memory-full",
    "there is not enough memory",
    "give the process more memory, or lower the batch size and the number of processes",
)
_MANY = _Kind(
    "files-too-many",
    "this process has as many open files as the system allows",
    "raise the limit: `ulimit -n 4096`",
)
_ODD = "give a regular file with a shorter path, without links that lead in a circle"
_KINDS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _Kind("disk-full", "the user's quota of the disk is used up", _ROOM),
    errno.EFBIG: _Kind(
        "disk-full",
        "the file would be larger than the file system or `ulimit -f` allows",
        "raise the limit, or set TMPDIR, DECANT_CACHE or the output folders to another disk",
    ),
    errno.EROFS: _Kind("path-unwritable", "the file system is read-only", _RIGHTS),
    errno.EACCES: _Kind("path-unwritable", "permission denied", _RIGHTS),
    errno.EPERM: _Kind("path-unwritable", "operation not permitted", _RIGHTS),
    errno.EMFILE: _MANY,
    errno.ENFILE: _MANY,
    errno.ENOMEM: _MEMORY,
    errno.EIO: _Kind(
        "file-unreadable", "input/output error", "the disk may be failing: look at `dmesg`"
    ),
    errno.ESTALE: _Kind(
        "file-unreadable", "the network file system lost it", "mount it again, then run this again"
    ),
    errno.ENAMETOOLONG: _Kind("file-unreadable", "the name is too long", _ODD),
    errno.ELOOP: _Kind("file-unreadable", "the links lead in a circle", _ODD),
    errno.ENXIO: _Kind("file-unreadable", "it is not a regular file", _ODD),
    errno.ENODEV: _Kind("file-unreadable", "it is not a regular file", _ODD),
}
# As SQLite, torch and C++ say it; other libraries have the system's own sentence.
_SENTENCES = {
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    "can't allocate memory": errno.ENOMEM,
    "bad allocation": errno.ENOMEM,
    "std::bad_alloc": errno.ENOMEM,
} | {os.strerror(number): number for number in _KINDS}
_RUST = re.compile(r"\(os error (\d+)\)")


def as_user_error(error: BaseException) -> UserError | None:
    """The error, or what caused it, as a message; None where the system is not to blame.

    What `add_note` added to the error says where it happened.
    """
    for one in _causes(error):
        if kind := _kind(one):
            notes = "; ".join(getattr(error, "__notes__", ()))
            path, problem = _path(one), kind.problem
            text = f"{path}: {problem}" if path else problem
            if not isinstance(one, OSError | MemoryError) or not path:
                said = without_secrets(str(one)).strip().partition("\n")[0]
                text = f"{text} ({said})" if said and said not in text else text
            code = "file-unreadable" if _is_only_unreadable(kind, one) else kind.code
            return UserError(
                f"{text}; {notes}" if notes else text,
                code=code,
                hint=kind.hint.format(user=_user()),
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from or while they were handled."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop(0)
        if one is None or id(one) in seen or isinstance(one, UserError):
            continue
        seen.add(id(one))
        yield one
        pending.append(one.__cause__)
        pending.append(None if one.__suppress_context__ else one.__context__)


def _kind(error: BaseException) -> _Kind | None:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return _MEMORY
    if isinstance(error, OSError) and error.errno in _KINDS:
        return _KINDS[error.errno]
    text = str(error)
    if match := _RUST.search(text):
        return _KINDS.get(int(match[1]))
    return next((_KINDS[number] for said, number in _SENTENCES.items() if said in text), None)


def _path(error: BaseException) -> str:
    """The first is what was to be read or written; a rename has a second one."""
    return (
        os.fsdecode(name)
        if isinstance(name := getattr(error, "filename", None), str | bytes)
        else ""
    )


def _is_only_unreadable(kind: _Kind, error: BaseException) -> bool:
    """Whether it is the right to read that is missing."""
    path = _path(error)
    return (
        kind.code == "path-unwritable"
        and bool(path)
        and os.path.lexists(path)
        and not os.access(path, os.R_OK)
    )


def _user() -> str:
    return f", which runs as user {os.getuid()}" if hasattr(os, "getuid") else ""
