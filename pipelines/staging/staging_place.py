"""The staging place: a folder or bucket that this machine writes and the pods read.

PLACE/SHA256/NAME    a file or folder of this content

The path is the content's, so nothing is sent twice, and two who send the same do not disturb each
other: a file appears whole or not at all.
"""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from decant.runtime.errors import UserError
from decant.runtime.identity import content_digest
from decant.runtime.publishing import publish
from decant.runtime.retrying import retried
from decant.runtime.secrets import holds_secret, shown_uri, without_secrets
from pipelines.staging.local_content import files_of, shown_size

# Sources that cannot be written, or are not a place for files.
_NO_PLACES = ("http", "https", "pypi", "hf", "dvc", "models")
_ALLOWED = "allowed are s3://BUCKET/FOLDER, gs://BUCKET/FOLDER and the like, or an absolute folder"
_PAUSES_SECONDS = (0.1, 0.3, 1.0)
# In URIs the others have a meaning.
_NO_NAME_CHARACTER = re.compile(r"[^A-Za-z0-9._-]+")


class StagingPlace:
    """Raises UserError for a place that cannot be one, or that no pod reaches."""

    def __init__(self, uri: str, mounts: Sequence[str]) -> None:
        """`mounts`: the folders at which ingest's pod mounts claims."""
        if holds_secret(uri):
            raise UserError(
                f"the staging place {shown_uri(uri)} has a password or a token, which would be "
                "written to the package",
                code="secret-exposed",
                hint="keep credentials in the environment, and in secrets of the profile",
            )
        scheme, separator, rest = uri.partition("://")
        scheme = scheme.lower()
        self.is_folder = not separator or scheme in ("file", "local")
        if self.is_folder:
            self.folder = _shared_folder(rest if separator else uri, mounts)
            self.uri = self.folder.as_uri()
            return
        self.uri = uri.rstrip("/")
        if scheme in _NO_PLACES or "::" in uri or set(uri) & set("#?"):
            raise _invalid(uri, "is not a place to which files can be sent")
        import fsspec

        try:
            self.store, self.root = fsspec.url_to_fs(self.uri)
        except (ImportError, ValueError) as error:
            raise _invalid(uri, f"cannot be opened: {error}") from None

    def copy_of(self, path: Path) -> "StagedCopy":
        """What the content of a file or folder is called here; nothing is sent.

        Raises UserError for a folder without files or with links that no digest covers.
        """
        sizes = {name: file.stat().st_size for name, file in files_of(path)}
        with _local_errors(path):
            digest = content_digest(path)
        name = Path(os.path.abspath(path)).name  # noqa: PTH100  links keep their name
        return StagedCopy(self, path, digest, sizes, _NO_NAME_CHARACTER.sub("_", name))


@dataclass(frozen=True)
class StagedCopy:
    """The copy of a local file or folder in the staging place, whether it is there yet or not.

    Attributes:
        sizes: bytes per file, by relative name; of the content that `digest` is about.
        name: in the place.
    """

    place: StagingPlace
    path: Path
    digest: str
    sizes: Mapping[str, int]
    name: str

    @property
    def uri(self) -> str:
        """Pinned."""
        return f"{self.place.uri}/{self.digest}/{self.name}#sha256={self.digest}"

    @property
    def what(self) -> str:
        """The path here, and its size."""
        return f"{self.path} ({shown_size(sum(self.sizes.values()))})"

    def send(self) -> bool:
        """Send what is not there yet; whether anything was.

        Raises UserError when the place cannot be written, or the content has changed.
        """
        with self._explained():
            if self._sent():
                return False
            if self.place.is_folder:
                self._copy_to_folder()
            else:
                self._put_into_store()
            return True

    def is_there(self) -> bool:
        """Whether all of it was sent before. Raises UserError."""
        with self._explained():
            return self._sent()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # each store has its own exceptions
            raise UserError(
                f"{self.path} cannot be sent to {self._shown}: {type(error).__name__}: "
                f"{without_secrets(str(error))}",
                code="staging-failed",
                hint="check that the place exists, the network, and the right to read, list and "
                "write there (credentials come from the environment)",
            ) from None

    @property
    def _shown(self) -> str:
        return shown_uri(self.uri.partition("#")[0])

    def _there(self) -> dict[str, int]:
        """Bytes per file that the place has under this name."""
        if not self.place.is_folder:
            return _sizes(self.place.store, f"{self.place.root}/{self.digest}/{self.name}")
        target = self.place.folder / self.digest / self.name
        return (
            {name: file.stat().st_size for name, file in files_of(target)}
            if target.exists()
            else {}
        )

    def _sent(self) -> bool:
        """Raises UserError where the place has something else under this name."""
        for pause_seconds in (*_PAUSES_SECONDS, 0):
            there = self._there()
            wrong = sorted(name for name, size in there.items() if self.sizes.get(name) != size)
            if not wrong:
                return there == self.sizes
            time.sleep(pause_seconds)  # some stores show what another process is still writing
        raise UserError(
            f"{self._shown} is not what was sent there: changed: "
            f"{', '.join(name or self.name for name in wrong[:3])}",
            code="staging-failed",
            hint="remove it there, and run the command again",
        )

    def _copy_to_folder(self) -> None:
        target = self.place.folder / self.digest / self.name
        _make_readable(target.parent)
        unfinished = target.with_name(f".{self.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            for name, file in files_of(self.path):
                copy = unfinished / name if self.path.is_dir() else unfinished
                _make_readable(copy.parent)
                shutil.copyfile(file, copy)
                copy.chmod(0o644)
            self._refuse_changed(content_digest(unfinished))
            try:
                publish(unfinished, target)
            except OSError:
                if not target.exists():  # else another process was faster
                    raise
        finally:
            if unfinished.is_dir():
                shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.unlink(missing_ok=True)

    def _put_into_store(self) -> None:
        """File by file, each of which a store keeps whole or not at all."""
        store, target = self.place.store, f"{self.place.root}/{self.digest}/{self.name}"
        there = self._there()
        new = [(name, file) for name, file in files_of(self.path) if name not in there]
        paths = [f"{target}/{name}" if self.path.is_dir() else target for name, _ in new]
        for (_, file), remote in zip(new, paths, strict=True):
            retried(
                f"sending {file.name} to {self._shown}", partial(store.put_file, str(file), remote)
            )
        try:
            with _local_errors(self.path):
                self._refuse_changed(content_digest(self.path))
            if not self._sent():
                raise UserError(f"{self._shown} lacks files that were sent", code="staging-failed")
        except UserError:
            for remote in paths:
                with suppress(Exception):  # what is wrong is said; without the right to remove it
                    store.rm_file(remote)  # stays, and the pods refuse it by its digest
            raise

    def _refuse_changed(self, digest: str) -> None:
        if digest != self.digest:
            raise UserError(
                f"{self.path} changed while it was sent",
                code="source-changed",
                hint="run the command again when nothing writes to it any more",
            )


def _shared_folder(name: str, mounts: Sequence[str]) -> Path:
    """Raises UserError where no claim is mounted, or where it is not mounted here too."""
    folder = Path(os.path.normpath(name))
    if not folder.is_absolute():
        raise _invalid(name, "is a relative folder")
    inside = [Path(one) for one in mounts if folder.is_relative_to(one)]
    mount = max(inside, key=lambda one: len(one.parts), default=None)
    if mount is None:
        raise UserError(
            f"the staging place {folder} is a folder, and the profile mounts no claim there for "
            f"ingest, so that no pod reads it; mounted: {', '.join(mounts) or 'none'}",
            code="staging-invalid",
            hint="mount the claim in the profile (`volumes: {CLAIM: {path: /shared}}`), or give a "
            "bucket: s3://BUCKET/FOLDER",
        )
    if not mount.is_dir():  # a new folder here would be another disk than the claim's
        raise UserError(
            f"the staging place {folder} is on the claim at {mount}, which is not on this machine",
            code="staging-invalid",
            hint=f"mount the claim's file system at {mount} here too, or give a bucket",
        )
    return folder


def _sizes(store: Any, target: str) -> dict[str, int]:
    """Bytes per file below the target; of a file itself under the empty name."""
    store.invalidate_cache()
    try:
        found = store.find(target, detail=True)
    except FileNotFoundError:  # some stores say so of what has no files yet
        return {}
    return {
        name[len(target) :].lstrip("/"): int(info["size"])
        for name, info in found.items()
        if name == target or name.startswith(f"{target}/")
    }


def _make_readable(folder: Path) -> None:
    """Make the folder so that pods, whose user is another, can read it, whatever the umask is."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        one.chmod(0o755)


@contextmanager
def _local_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"'{error.filename or path}' cannot be read: {error.strerror}", code="file-unreadable"
        ) from None


def _invalid(uri: str, problem: str) -> UserError:
    return UserError(
        f"the staging place '{without_secrets(uri)}' {problem}",
        code="staging-invalid",
        hint=_ALLOWED,
    )
