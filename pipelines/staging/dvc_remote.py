"""Data that DVC has: pushed to the project's remote, and named dvc://REPO@COMMIT/PATH.

A pod clones REPO, the Git remote, and fetches the content from the DVC remote that is set there. So
both have to be reachable from the cluster, and the commit has to be pushed. Nothing is committed or
pushed to Git here: that is the user's to decide.
"""

import hashlib
import logging
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from decant.runtime.errors import UserError
from decant.runtime.retrying import passes_by_itself, retried
from decant.runtime.secrets import shown_uri, without_secrets
from decant.sources.dvc import Address
from pipelines.staging.local_content import files_of

# Whether pods see a folder of this machine.
Reaches = Callable[[Path], bool]

_DEFAULT_REMOTE = "origin"
# DVC 3's, and DVC 2's, whose objects have another place in a remote.
_HASH_NAMES = ("md5", "md5-dos2unix")


class NotInDvc(Exception):
    """Why pods do not find it through DVC, for the message."""


@dataclass(frozen=True, kw_only=True)
class DvcPush:
    """Content of a DVC project at a commit.

    Attributes:
        uri: by which the pods read it.
        what: for the log.
        project: the folder of the project.
        revision: of it; empty where the project is checked out at it.
        remote: name of the DVC remote.
        targets: outputs to push; none for what Git alone has.
        hashes: of all their objects.
    """

    uri: str
    what: str
    project: Path
    revision: str
    remote: str
    targets: tuple[str, ...]
    hashes: frozenset[str]

    def send(self) -> bool:
        """Push what the remote does not have; whether anything was. Raises UserError."""
        if self.is_there():
            return False
        # In a revision DVC counts paths from the repository's root.
        root = Path("/") if self.revision else self.project
        with self._project() as repo:
            retried(
                f"pushing to the DVC remote {self.remote}",
                lambda: repo.push(
                    targets=[str(root / target) for target in self.targets],
                    remote=self.remote,
                    revs=[self.revision] if self.revision else None,
                    workspace=not self.revision,
                ),
                passes=_passes,
            )
            missing = self._missing(repo)
        if missing:
            raise self._failed(
                f"DVC's cache here lacks {len(missing)} objects, such as {missing[0]}"
            )
        return True

    def is_there(self) -> bool:
        """Whether the remote has every object. Raises UserError."""
        if not self.targets:
            return True
        with self._project() as repo:
            return not self._missing(repo)

    @contextmanager
    def _project(self) -> Iterator[Any]:
        from dvc.repo import Repo

        try:
            with _silent_log("dvc", "dvc_data", "dvc_objects"), Repo(str(self.project)) as repo:
                yield repo
        except Exception as error:  # DVC's and the store's
            raise self._failed(without_secrets(str(error)) or type(error).__name__) from None

    def _missing(self, repo: Any) -> list[str]:
        stores = [repo.cloud.get_remote_odb(self.remote, hash_name=name) for name in _HASH_NAMES]
        return sorted(one for one in self.hashes if not any(store.exists(one) for store in stores))

    def _failed(self, problem: str) -> UserError:
        return UserError(
            f"{self.what} cannot be pushed to the DVC remote {self.remote}: {problem}",
            code="staging-failed",
            hint=f"see why: dvc push --remote {self.remote} {' '.join(self.targets[:3])}",
        )


@contextmanager
def _silent_log(*names: str) -> Iterator[None]:
    """DVC's own lines stay out: its errors are raised, and what is missing is looked at here."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def in_dvc(path: Path, reaches: Reaches) -> DvcPush:
    """Where a local file or folder is in its DVC project, at the commit that is checked out.

    Raises NotInDvc where pods would not find exactly this content there.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100  a link may be what DVC tracks
    folder = whole.parent.resolve()
    project = _project_of(folder)
    inside = (folder / whole.name).relative_to(project).as_posix()
    commit = _git(project, "rev-parse", "HEAD")
    found = _content_at(project, commit, inside)
    here = {name: file for name, file in files_of(path) if not name.endswith(".dvc")}
    if other := _difference(found, here):
        raise NotInDvc(f"DVC: it differs from the commit {commit[:12]}: {other}; `dvc add`, commit")
    pushed = _reachable(project, commit, inside, found, str(path), reaches)
    return replace(pushed, revision="")


def in_dvc_at(address: Address, reaches: Reaches) -> DvcPush:
    """The same for dvc:// with a local repository, at its revision."""
    project = _project_of(Path(address.repo).resolve())
    commit = _git(project, "rev-parse", f"{address.rev}^{{commit}}")
    found = _content_at(project, commit, address.path)
    what = f"{address.path} at {address.rev}"
    return _reachable(project, commit, address.path, found, what, reaches)


@dataclass(frozen=True)
class _Content:
    """What a commit has at a path.

    Attributes:
        hashes: md5 by relative name; empty for what Git alone has.
        whole: DVC's hash of all of it, where it is one output.
        read: the content by relative name.
    """

    hashes: Mapping[str, str]
    whole: str
    read: Callable[[str], bytes]


def _project_of(folder: Path) -> Path:
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        project = Path(Repo.find_root(str(folder)))
    except NotDvcRepoError:
        raise NotInDvc("no --staging, and no DVC project around it") from None
    if Path(_git(project, "rev-parse", "--show-toplevel")).resolve() != project.resolve():
        raise NotInDvc(f"DVC: the project {project} is not the root of its Git repository")
    return project


def _content_at(project: Path, commit: str, inside: str) -> _Content:
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(str(project), rev=commit)
    try:
        info = files.info(inside)
        found = {inside: info}
        if info["type"] == "directory":
            found = files.find(inside, detail=True)
    except FileNotFoundError:
        raise NotInDvc(f"DVC: the commit {commit[:12]} does not have it") from None
    except Exception as error:  # a directory's list that is in no cache, say
        raise NotInDvc(f"DVC: {without_secrets(str(error))}") from None
    start = f"{inside}/"
    names = {name: "" if name == inside else name.removeprefix(start) for name in found}
    return _Content(
        {names[name]: _hash_of(one) for name, one in found.items()},
        _hash_of(info),
        lambda name: bytes(files.cat_file(f"{start}{name}" if name else inside)),
    )


def _difference(found: _Content, here: Mapping[str, Path]) -> str:
    """The first name that is not the same in both; empty when all are."""
    for name in sorted(set(found.hashes) ^ set(here)):
        return name or "."
    for name, file in here.items():
        if md5 := found.hashes[name]:
            same = _md5(file) == md5
        else:
            same = file.read_bytes() == found.read(name)
        if not same:
            return name or file.name
    return ""


def _reachable(
    project: Path, commit: str, inside: str, found: _Content, what: str, reaches: Reaches
) -> DvcPush:
    """Raises NotInDvc where a pod cannot clone the commit or fetch from the remote."""
    repository = _git_remote(project, commit, reaches)
    tracked = tuple(name for name, md5 in found.hashes.items() if md5)
    targets = (inside,) if found.whole else tuple(f"{inside}/{name}" for name in tracked)
    hashes = {md5 for md5 in (*found.hashes.values(), found.whole) if md5}
    return DvcPush(
        uri=f"dvc://{repository}@{commit}/{quote(inside)}",
        what=what,
        project=project,
        revision=commit,
        remote=_dvc_remote(project, commit, reaches) if targets else "",
        targets=targets,
        hashes=frozenset(hashes),
    )


def _git_remote(project: Path, commit: str, reaches: Reaches) -> str:
    names = _git(project, "remote").split()
    if not names:
        raise NotInDvc("DVC: its Git repository has no remote from which a pod could clone it")
    name = _DEFAULT_REMOTE if _DEFAULT_REMOTE in names else names[0]
    if not _git(project, "for-each-ref", f"--contains={commit}", f"refs/remotes/{name}"):
        raise NotInDvc(f"DVC: the commit {commit[:12]} is not on the Git remote {name}; `git push`")
    url = _git(project, "remote", "get-url", name)
    if folder := _local_folder(url, project):
        if not reaches(folder):
            raise NotInDvc(f"DVC: the Git remote {name} is the folder {folder} of this machine")
        return folder.as_uri()
    # Of ssh://git@HOST/PATH the user is part of the address; `pin` refuses a password in it.
    return shown_uri(url) if url.startswith(("http://", "https://")) else url


def _dvc_remote(project: Path, commit: str, reaches: Reaches) -> str:
    """The default remote, or the only one, as the commit sets it: a pod sees nothing else."""
    from configobj import ConfigObj  # as DVC reads it

    text = _git(project, "show", f"{commit}:.dvc/config")
    config = ConfigObj(text.splitlines(), list_values=False)
    remotes = {
        section.removeprefix('remote "').removesuffix('"'): dict(values)
        for section, values in config.items()
        if section.startswith('remote "')
    }
    name = config.get("core", {}).get("remote") or (
        next(iter(remotes)) if len(remotes) == 1 else ""
    )
    if name not in remotes:
        raise NotInDvc("DVC: the commit sets no default remote; `dvc remote add --default`, commit")
    if versioned := [key for key in ("version_aware", "worktree") if remotes[name].get(key)]:
        raise NotInDvc(f"DVC: its remote {name} is {versioned[0]}; name a file there by its URI")
    url = remotes[name].get("url", "")
    folder = _local_folder(url, project / ".dvc")
    is_fixed = Path(url.removeprefix("file://")).is_absolute()  # else relative to the pod's clone
    if folder and not (is_fixed and reaches(folder)):
        raise NotInDvc(f"DVC: its remote {name} is the folder {folder} of this machine")
    return str(name)


def _local_folder(url: str, base: Path) -> Path | None:
    """The folder of an address that names one; relative to a base."""
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    if "://" in url or not (url.startswith(("/", ".")) or (base / url).exists()):
        return None  # also git@HOST:PATH
    return Path(os.path.normpath(base / url))


def _git(project: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    try:
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotInDvc(f"DVC: git cannot be started: {error.strerror}") from None
    if done.returncode:
        problem = without_secrets(done.stderr.strip().partition("\n")[0])
        raise NotInDvc(f"DVC: git {arguments[0]}: {problem}")
    return done.stdout.strip()


def _passes(error: BaseException) -> bool:
    """Also another `dvc` that is working in the project."""
    return passes_by_itself(error) or type(error).__name__ == "LockError"


def _hash_of(info: Mapping[str, Any]) -> str:
    """Empty for what Git alone has."""
    return next((str(info[name]) for name in _HASH_NAMES if info.get(name)), "")


def _md5(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()
