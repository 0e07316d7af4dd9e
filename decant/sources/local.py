"""A file or folder of this machine: a plain path or file://; relative to the current folder."""

import os
from pathlib import Path

from decant.runtime.errors import UserError
from decant.runtime.experiment_copy import original_project
from decant.runtime.identity import content_digest
from decant.sources._uri import check_sha256, path_part, scheme_of, split_sha256

SCHEMES = ("file",)


def fetch(uri: str) -> Path:
    """The path itself. A `#sha256=` fragment is checked on file:// URIs."""
    path, expected = path_and_pin(uri)
    try:
        if not path.exists():
            raise UserError(
                f"no file or folder at '{path}'", code="file-missing", hint=_where_it_may_be(path)
            )
        if not (path.is_file() or path.is_dir()):
            raise UserError(
                f"'{path}' is neither a file nor a folder, but a pipe, a socket or a device",
                code="file-unreadable",
                hint="write what it gives into a file, and give that",
            )
        if expected:
            check_sha256(uri, expected, content_digest(path))
    except OSError as error:
        raise _unreadable(path, error) from None
    return path


def pin(uri: str) -> str:
    """The digest of the content. Raises UserError where the URI has another one."""
    path, expected = fetch(uri), path_and_pin(uri)[1]
    try:
        return f"sha256:{expected or content_digest(path)}"
    except OSError as error:
        raise _unreadable(path, error) from None


def path_and_pin(uri: str) -> tuple[Path, str]:
    """The path, which need not exist, and the sha256 of a `#sha256=` fragment, else empty."""
    if "://" not in uri:  # a plain path may hold any character, also '#'
        return Path(uri).expanduser(), ""
    address, expected = split_sha256(uri)
    assert scheme_of(address) == "file"
    return Path(path_part(address)), expected


def _where_it_may_be(path: Path) -> str:
    root = original_project()
    if root and not path.is_absolute() and (root / path).exists():
        return (
            f"it is in {root}, but `dvc exp run --temp` copies only what git or DVC tracks: "
            f"`dvc add {path}`, or `dvc exp run --temp --copy-paths {path}`"
        )
    return f"paths are relative to the current folder, which is {Path.cwd()}"


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"'{error.filename or path}' cannot be read: {error.strerror or error}",
        code="file-unreadable",
        hint=f"give this process the right to read it; it runs as user {os.getuid()}"
        if hasattr(os, "getuid")
        else "give this process the right to read it",
    )
