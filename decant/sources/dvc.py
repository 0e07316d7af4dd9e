"""dvc://REPO@REV/PATH: a file or folder in a DVC or Git repository.

REPO is a local path, a Git URL, or empty for this project; REV a commit, tag or branch ('/' in it
written %2F, '@' in PATH written %40).
"""

import atexit
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT, text_digest
from decant.runtime.retrying import retried
from decant.runtime.secrets import without_secrets
from decant.sources._cache import cached, content_of

SCHEMES = ("dvc",)

_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(uri: str) -> Path:
    """The file or folder at that revision, from DVC's cache or remote, or from Git."""
    address = address_of(uri)
    commit = pin(uri).partition(" ")[0].removeprefix("git:")

    def fill(folder: Path) -> str:
        filesystem = _open(address, commit, uri)
        target = folder / PurePosixPath(address.path).name

        def get() -> None:
            recursive = filesystem.isdir(address.path)
            filesystem.get(address.path, str(target), recursive=recursive)

        try:
            retried(f"fetching {without_secrets(uri)}", get)
        except Exception as error:
            raise _failed(uri, error) from None
        _refuse_damaged(filesystem, address, target, uri)
        return commit

    key = text_digest(f"{address.repo}\0{commit}\0{address.path}")[:16]
    return content_of(cached("dvc", f"{PurePosixPath(address.path).name}-{key}", fill))


def pin(uri: str) -> str:
    """`git:COMMIT md5:HASH`; the second part is DVC's hash, absent for what only Git tracks.

    A local repository is resolved each time; a remote one once, since that requires a clone.
    """
    address = address_of(uri)
    if address.is_local:
        return _resolve(address, uri)
    key = text_digest(f"{address.repo}\0{address.rev}\0{address.path}")[:16]
    return cached("dvc-pins", key, lambda folder: _resolve(address, uri)).pin


@dataclass(frozen=True)
class Address:
    """The parts of a URI, decoded; `repo` is this project's folder where the URI has none."""

    repo: str
    rev: str
    path: str

    @property
    def is_local(self) -> bool:
        """Whether the repository is a folder of this machine."""
        return Path(self.repo).is_dir()


def address_of(uri: str) -> Address:
    """Raises UserError for a URI that is not written as dvc://REPO@REV/PATH."""
    repo, at, rest = uri.partition("://")[2].rpartition("@")
    rev, slash, path = rest.partition("/")
    if not (at and rev and slash and path.strip("/")):
        raise UserError(
            f"'{without_secrets(uri)}' does not name a file of a repository",
            code="uri-invalid",
            hint="write dvc://REPO@REV/PATH; an empty REPO is this project",
        )
    return Address(repo or str(PROJECT), unquote(rev), unquote(path).strip("/"))


def _resolve(address: Address, uri: str) -> str:
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


def _refuse_damaged(filesystem: Any, address: Address, target: Path, uri: str) -> None:
    """Raises UserError for a file that is not the one of DVC's hash: its cache trusts names."""
    if filesystem.isdir(address.path):
        infos = filesystem.find(address.path, detail=True)
    else:
        infos = {address.path: filesystem.info(address.path)}
    for name, info in infos.items():
        inside = PurePosixPath(name.strip("/")).relative_to(address.path)
        expected = info.get("md5")
        if expected is None:  # what Git alone tracks
            continue
        with (target / inside).open("rb") as stream:
            found = hashlib.file_digest(
                stream, lambda: hashlib.md5(usedforsecurity=False)
            ).hexdigest()
        if found != expected:
            raise UserError(
                f"'{name.strip('/')}' of {without_secrets(uri)} is damaged in DVC's cache or "
                f"remote: its md5 is {found}, DVC names {expected}",
                code="sha256-mismatch",
                hint="remove that file of the cache, then `dvc fetch` in the repository",
            )


def _open(address: Address, rev: str, uri: str) -> Any:
    from dvc.api import DVCFileSystem

    _remove_clones_at_exit()

    def opened() -> Any:
        filesystem = DVCFileSystem(address.repo, rev=rev)
        filesystem.repo  # noqa: B018  opens the repository, or raises
        return filesystem

    try:
        return retried(f"opening {without_secrets(address.repo)}", opened)
    except Exception as error:
        raise _failed(uri, error) from None


@cache
def _remove_clones_at_exit() -> None:
    """DVC keeps its clones in the temporary folder; its own command removes them, a library not."""
    from dvc.repo.open_repo import clean_repos

    atexit.register(clean_repos)


def _failed(uri: str, error: Exception) -> UserError:
    return UserError(
        f"DVC could not read {without_secrets(uri)}: "
        f"{without_secrets(str(error)) or type(error).__name__}",
        code="source-unreachable",
        hint="check repository, revision and path, and that the data was pushed (`dvc push`)",
    )
