"""Runs that could not be logged in MLflow, on the disk until `decant sync` sends them.

<spool>/<execution>/<record>/
  run.json    the record, always whole
  files/      the run's artifacts

Every process writes its own folders, so any number of them may spool at the same time. The spool
is DECANT_SPOOL, a folder or what fsspec supports (s3://, gs://), else `mlflow-spool` in the
project's root; in a KFP task without DECANT_SPOOL, the task's artifact `metrics`, which outlives
the pod.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from decant.runtime.errors import UserError
from decant.runtime.publishing import publish
from decant.runtime.retrying import retried
from decant.runtime.secrets import shown_uri, without_secrets
from decant.tracking.mlflow_store import store_root
from decant.tracking.record import RunRecord, milliseconds_now, read_record

SPOOL = "DECANT_SPOOL"
RECORD, FILES = "run.json", "files"


@dataclass(frozen=True, kw_only=True)
class Spooled:
    """A folder of the spool; `record` is None when it cannot be read."""

    folder: str
    record: RunRecord | None
    problem: str = ""


def spool_uri() -> str:
    """Where this process spools."""
    return os.environ.get(SPOOL) or str(store_root() / "mlflow-spool")


class Spool:
    """Reads and writes one spool. Errors of the file system are raised as OSError."""

    def __init__(self, uri: str) -> None:
        import fsspec

        self.uri = uri
        try:
            self.files, self.root = fsspec.url_to_fs(uri)
        except (ImportError, ValueError) as error:
            raise UserError(
                f"the spool {shown_uri(uri)} cannot be opened: {without_secrets(str(error))}",
                code="spool-unusable",
                hint=f"set {SPOOL} to a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
            ) from None

    def __str__(self) -> str:
        return shown_uri(self.uri)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return "file" in self.files.protocol

    def write(self, record: RunRecord) -> None:
        """Write the record over its earlier version."""
        record.written_ms = milliseconds_now()
        file = f"{self._folder(record)}/{RECORD}"
        self.files.makedirs(self._folder(record), exist_ok=True)
        if not self.is_local:  # a bucket stores a file whole or not at all
            retried(f"writing to {self}", lambda: self.files.pipe_file(file, record.as_json()))
            return
        partial = Path(f"{file}.partial")
        partial.write_bytes(record.as_json())
        publish(partial, Path(file))

    def add_file(self, record: RunRecord, source: Path, folder: str) -> None:
        """Copy a file into a folder of the run's artifacts."""
        target = f"{self._folder(record)}/{FILES}/{folder}"
        self.files.makedirs(target, exist_ok=True)
        retried(
            f"writing to {self}",
            lambda: self.files.put_file(str(source), f"{target}/{source.name}"),
        )

    def runs(self, execution: str = "") -> list[Spooled]:
        """The spooled runs of one execution or of all, ordered by start time."""
        start = f"{self.root}/{execution}" if execution else self.root
        self.files.invalidate_cache()
        records = [file for file in self.files.find(start) if file.endswith(f"/{RECORD}")]
        found = [run for file in records if (run := self._read(file))]
        return sorted(found, key=lambda run: run.record.started_ms if run.record else 0)

    @contextmanager
    def files_of(self, run: Spooled) -> Iterator[Path]:
        """The run's artifacts as a local folder, empty when it has none."""
        source = f"{run.folder}/{FILES}"
        if self.is_local:
            yield Path(source)
            return
        with tempfile.TemporaryDirectory() as name:
            if self.files.isdir(source):
                self.files.get(f"{source}/", f"{name}/", recursive=True)
            yield Path(name)

    def remove(self, run: Spooled) -> None:
        """Remove a run and its files."""
        self.files.rm_file(f"{run.folder}/{RECORD}")  # first: without it the folder is not a run
        if self.files.isdir(run.folder):
            self.files.rm(run.folder, recursive=True)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Whether no other process is sending. For a bucket always True: it cannot be locked.

        Raises UserError for a folder that cannot be written.
        """
        if not self.is_local or not Path(self.root).is_dir():
            yield True
            return
        lock = FileLock(Path(self.root) / ".sending", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except OSError as error:
            raise UserError(
                f"the spool {self} cannot be written: {error.strerror}",
                code="spool-unusable",
                hint="sent runs are removed from the spool: copy it, and give the copy",
            ) from None
        try:
            yield True
        finally:
            lock.release()

    def _folder(self, record: RunRecord) -> str:
        return f"{self.root}/{record.parent.execution}/{record.id}"

    def _read(self, file: str) -> Spooled | None:
        """None for a run that another process has sent and removed since it was listed."""
        folder = file.removesuffix(f"/{RECORD}")
        try:
            return Spooled(folder=folder, record=read_record(self.files.cat_file(file)))
        except FileNotFoundError:
            return None
        except ValueError:
            problem = "damaged, or written by another version of Decant"
            return Spooled(folder=folder, record=None, problem=problem)
