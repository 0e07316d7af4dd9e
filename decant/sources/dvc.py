"""dvc://REPO@REV/PATH: a file or folder in a DVC or Git repository.

REPO is a local path, a Git URL, or empty for this project; REV a commit, tag or branch ('/' in it
written %2F, '@' in PATH written %40).
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT, text_digest
from decant.runtime.secrets import without_secrets
from decant.sources._cache import cached, content_of

SCHEMES = ("dvc",)

_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(uri: str) -> Path:
    """The file or folder at that revision, from DVC's cache or remote, or from Git."""
    address = _parse(uri)
    commit = pin(uri).partition(" ")[0].removeprefix("git:")

    def fill(folder: Path) -> str:
        filesystem = _open(address, commit, uri)
        try:
            recursive = filesystem.isdir(address.path)
            target = folder / PurePosixPath(address.path).name
            filesystem.get(address.path, str(target), recursive=recursive)
        except Exception as error:
            raise _failed(uri, error) from None
        return commit

    key = text_digest(f"{address.repo}\0{commit}\0{address.path}")[:16]
    return content_of(cached("dvc", f"{PurePosixPath(address.path).name}-{key}", fill))


def pin(uri: str) -> str:
    """`git:COMMIT md5:HASH`; the second part is DVC's hash, absent for what only Git tracks.

    A local repository is resolved each time; a remote one once, since that requires a clone.
    """
    address = _parse(uri)
    if address.is_local:
        return _resolve(address, uri)
    key = text_digest(f"{address.repo}\0{address.rev}\0{address.path}")[:16]
    return cached("dvc-pins", key, lambda folder: _resolve(address, uri)).pin


@dataclass(frozen=True)
class _Address:
    repo: str
    rev: str
    path: str

    @property
    def is_local(self) -> bool:
        return Path(self.repo).is_dir()


def _parse(uri: str) -> _Address:
    repo, at, rest = uri.partition("://")[2].rpartition("@")
    rev, slash, path = rest.partition("/")
    if not (at and rev and slash and path.strip("/")):
        raise UserError(
            f"'{without_secrets(uri)}' does not name a file of a repository",
            code="uri-invalid",
            hint="write dvc://REPO@REV/PATH; an empty REPO is this project",
        )
    return _Address(repo or str(PROJECT), unquote(rev), unquote(path).strip("/"))


def _resolve(address: _Address, uri: str) -> str:
    filesystem = _open(address, address.rev, uri)
    try:
        commit = filesystem.repo.get_rev()
        info = filesystem.info(address.path)
    except FileNotFoundError:
        raise UserError(
            f"no '{address.path}' in {without_secrets(address.repo)} at {address.rev}",
            code="source-missing",
            hint="check the path and the revision; PATH is relative to the repository's root",
        ) from None
    except Exception as error:
        raise _failed(uri, error) from None
    md5 = info.get("md5")
    return f"git:{commit} md5:{md5}" if md5 else f"git:{commit}"


def _open(address: _Address, rev: str, uri: str) -> Any:
    from dvc.api import DVCFileSystem

    try:
        filesystem = DVCFileSystem(address.repo, rev=rev)
        filesystem.repo  # noqa: B018  opens the repository, or raises
    except Exception as error:
        raise _failed(uri, error) from None
    return filesystem


def _failed(uri: str, error: Exception) -> UserError:
    return UserError(
        f"DVC could not read {without_secrets(uri)}: "
        f"{without_secrets(str(error)) or type(error).__name__}",
        code="source-unreachable",
        hint="check repository, revision and path, and that the data was pushed (`dvc push`)",
    )
