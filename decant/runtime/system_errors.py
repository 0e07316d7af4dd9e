"""Errors of the system in words for the user: full disks, missing rights, too little memory.

They are no mistake of a command and no bug of Decant: each is one message with path and cause.

A library in another language has its own exceptions for them. Their text has the system's sentence.
"""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from decant.runtime.errors import UserError
from decant.runtime.secrets import without_secrets

_ROOM = "make room there, or set TMPDIR, DECANT_CACHE or the output folders to another disk"
_RIGHTS = "give this process the right to it, or set another folder"
_ODD = "give a regular file with a shorter path, without links that lead in a circle"
_MANY = UserError(
    "this process has as many open files as the system allows",
    code="files-too-many",
    hint="raise the limit: `ulimit -n 4096`",
)
_MEMORY = UserError(
    "there is not enough memory",
    code="memory-full",
    hint="give the process more memory, or lower the batch size and the number of processes",
)
# By the system's number; the problem follows the path, where it is known.
_KINDS = {
    errno.ENOSPC: UserError("there is no room left on the disk", code="disk-full", hint=_ROOM),
    errno.EDQUOT: UserError("the quota of the user is used up", code="disk-full", hint=_ROOM),
    errno.EFBIG: UserError(
        "the file would be larger than the file system or `ulimit -f` allows",
        code="disk-full",
        hint="raise the limit, or set TMPDIR, DECANT_CACHE or the output folders to another disk",
    ),
    errno.EROFS: UserError(
        "the file system is read-only", code="path-unwritable", hint="set another folder"
    ),
    errno.EACCES: UserError("permission denied", code="path-unwritable", hint=_RIGHTS),
    errno.EPERM: UserError("operation not permitted", code="path-unwritable", hint=_RIGHTS),
    errno.ENOTDIR: UserError(
        "a file is where a folder has to be",
        code="path-unwritable",
        hint="remove that file, or set another folder",
    ),
    errno.EMFILE: _MANY,
    errno.ENFILE: _MANY,
    errno.ENOMEM: _MEMORY,
    errno.EIO: UserError(
        "input/output error",
        code="file-unreadable",
        hint="the disk may be full or failing: look at `df` and `dmesg`",
    ),
    errno.ESTALE: UserError(
        "the network file system has lost it",
        code="file-unreadable",
        hint="mount it again, then run this again",
    ),
    errno.ENAMETOOLONG: UserError("the name is too long", code="file-unreadable", hint=_ODD),
    errno.ELOOP: UserError("the links lead in a circle", code="file-unreadable", hint=_ODD),
    errno.ENXIO: UserError("it is not a regular file", code="file-unreadable", hint=_ODD),
    errno.ENODEV: UserError("it is not a regular file", code="file-unreadable", hint=_ODD),
}
# As SQLite, torch and C++ say it; other libraries have the system's own sentence.
_SENTENCES = {
    "database or disk is full": errno.ENOSPC,
    "attempt to write a readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
    "can't allocate memory": errno.ENOMEM,
    "bad allocation": errno.ENOMEM,
    "std::bad_alloc": errno.ENOMEM,
} | {os.strerror(number): number for number in _KINDS}
_RUST = re.compile(r"\(os error (\d+)\)")
# NumPy and torch say no more than that a file got shorter than it was to be.
_CUT_SHORT = re.compile(
    r"^\d+ requested and \d+ written|inline_container.*(unexpected pos|failed writing)"
)


def as_user_error(error: BaseException) -> UserError | None:
    """The error, or what caused it, as a message; None where the system is not to blame.

    What `add_note` added to the error says where it happened.
    """
    for one in _causes(error):
        if kind := _kind(one):
            path = _path(one)
            problem = f"{path}: {kind.problem}" if path else kind.problem
            said = without_secrets(str(one)).strip().partition("\n")[0]
            if said and not path:  # it may name the file
                problem = f"{problem} ({said})"
            return UserError(
                "; ".join((problem, *getattr(error, "__notes__", ()))),
                code="file-unreadable" if _is_only_unreadable(kind, path) else kind.code,
                hint=f"{kind.hint}; it runs as user {os.getuid()}"
                if kind.code == "path-unwritable" and hasattr(os, "getuid")
                else kind.hint,
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


def _kind(error: BaseException) -> UserError | None:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return _MEMORY
    if isinstance(error, FileExistsError) and Path(_path(error)).is_file():
        return _KINDS[errno.ENOTDIR]  # `mkdir` of a name that a file has
    if isinstance(error, OSError) and error.errno in _KINDS:
        return _KINDS[error.errno]
    text = str(error)
    if _CUT_SHORT.search(text):
        return _KINDS[errno.ENOSPC]
    if match := _RUST.search(text):
        return _KINDS.get(int(match[1]))
    return next((_KINDS[number] for said, number in _SENTENCES.items() if said in text), None)


def _path(error: BaseException) -> str:
    """The first is what was to be read or written; a rename has a second one."""
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else ""


def _is_only_unreadable(kind: UserError, path: str) -> bool:
    """Whether it is the right to read that is missing."""
    return kind.code == "path-unwritable" and os.path.lexists(path) and not os.access(path, os.R_OK)
