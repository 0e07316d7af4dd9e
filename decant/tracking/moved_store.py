"""The local store after its folder was moved or copied: MLflow keeps absolute locations in it.

mlflow.db and mlruns/ lie side by side, as Decant makes them. MLflow writes where mlruns was at the
time into every experiment, run and version, also where a relative location was given.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from decant.runtime.errors import UserError
from decant.runtime.secrets import shown_uri
from decant.tracking.mlflow_store import tracking_uri
from decant.tracking.sqlite_address import sqlite_file

FOLDER = "mlruns"
LOST_TAG = "decant.lost"  # of a version without files: where they were

# Table, column, and whether files must be there: a run may have logged none.
_LOCATIONS = (
    ("experiments", "artifact_location", False),
    ("runs", "artifact_uri", False),
    ("logged_models", "artifact_location", False),
    ("model_versions", "source", True),
    ("model_versions", "storage_location", True),
)
_WAIT_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Location:
    """A place in the database that is not below the store's own mlruns.

    Attributes:
        row: of its table, as SQLite counts.
        old: as it is written, a path or a file URI; `new` has the same form.
        found: whether its files are in the new place.
        required: whether they must be.
    """

    table: str
    column: str
    row: int
    old: str
    new: str
    found: bool
    required: bool

    @property
    def root(self) -> Path:
        """The folder mlruns that it names."""
        return _split(self.old)[0]

    @property
    def gone(self) -> bool:
        """Whether nothing is there."""
        return not Path(*_split(self.old)).exists()


def relocate() -> dict[str, int]:
    """Rewrite the locations of the local store; returns their number by the folder they named.

    What still has its files where it says, and not in the store's own mlruns, stays. All is
    rewritten or nothing; the second call finds nothing.

    Raises UserError when the store is not a local database, or the files of a version are not here.
    """
    file = _database()
    with closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
            moved = list(_moved(database, file))
            _require_files(moved, file)
            for one in moved:
                database.execute(
                    f"UPDATE {one.table} SET {one.column} = ? WHERE rowid = ?", (one.new, one.row)
                )
            _unmark_found(database, file, {one.root for one in moved})
            database.commit()
        except sqlite3.Error as error:
            raise UserError(
                f"{file} cannot be changed: {error}",
                code="tracking-failed",
                hint="end what writes into it, and run this again; nothing was changed",
            ) from None
    roots = [str(one.root) for one in moved]
    return {root: roots.count(root) for root in sorted(set(roots))}


def moved_from() -> list[Path]:
    """The folders where files were that are beside the database now; empty for a server.

    Of a copy, whose original is still there, nothing is missed.
    """
    file = sqlite_file(tracking_uri())
    if not (file and file.is_file()):
        return []
    address = f"{file.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            return sorted({one.root for one in _moved(database, file) if one.found and one.gone})
    except sqlite3.Error:  # whoever opens it for its content reports that
        return []


def refuse_moved_store() -> None:
    """Raises UserError that names the command, where a version's files would not be found."""
    if folders := moved_from():
        raise UserError(
            f"the tracking store {shown_uri(tracking_uri())} was moved: its files are registered "
            f"in {', '.join(map(str, folders))}",
            code="tracking-store-moved",
            hint="`decant relocate` corrects the locations",
        )


def _database() -> Path:
    uri = tracking_uri()
    file = sqlite_file(uri)
    if file is None:
        raise UserError(
            f"the tracking store {shown_uri(uri)} is not a local SQLite database",
            code="tracking-not-local",
            hint="a server has its own place for files; set MLFLOW_TRACKING_URI to a local store",
        )
    if not file.is_file():
        raise UserError(f"there is no tracking store {file}", code="tracking-store-missing")
    return file.resolve()


def _moved(database: sqlite3.Connection, file: Path) -> Iterator[Location]:
    """Locations whose files are in the store's own mlruns, and those that have files nowhere."""
    elsewhere = list(_elsewhere(database, file.resolve().parent / FOLDER))
    here = {one.root for one in elsewhere if one.found and one.table != "experiments"}
    for one in elsewhere:
        if one.root in here and (one.found or one.gone):
            yield one


def _elsewhere(database: sqlite3.Connection, own: Path) -> Iterator[Location]:
    for table, column, required in _LOCATIONS:
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        if column not in columns:  # another version of MLflow
            continue
        lost = _lost_rows(database) if required else set()
        for row, old in database.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
            root, below = _split(old or "")
            if root in (Path(), own):
                continue
            target = own / below
            yield Location(
                table=table,
                column=column,
                row=row,
                old=old,
                new=target.as_uri() if old.startswith("file:") else str(target),
                found=target.exists(),
                required=required and row not in lost,
            )


def _split(location: str) -> tuple[Path, Path]:
    """The folder mlruns and the path below it; two empty ones for what is not a path into one."""
    is_uri = location.startswith("file:")
    path = Path(unquote(urlsplit(location).path) if is_uri else location)
    if not path.is_absolute() or FOLDER not in path.parts:
        return Path(), Path()
    depth = len(path.parts) - path.parts[::-1].index(FOLDER)
    return Path(*path.parts[:depth]), Path(*path.parts[depth:])


def _lost_rows(database: sqlite3.Connection) -> set[int]:
    """Rows of versions that are known to be without files, or were deleted."""
    return {
        row
        for (row,) in database.execute(
            "SELECT rowid FROM model_versions AS v WHERE current_stage = 'Deleted_Internal' OR "
            "EXISTS (SELECT 1 FROM model_version_tags AS t WHERE t.name = v.name AND "
            "t.version = v.version AND t.key = ?)",
            (LOST_TAG,),
        )
    }


def _require_files(moved: list[Location], file: Path) -> None:
    if missing := [one for one in moved if one.required and not one.found]:
        raise UserError(
            f"{len(missing)} versions have no files beside {file}, such as {missing[0].new}",
            code="file-missing",
            hint=f"move or copy {FOLDER} together with the database; nothing was changed",
        )


def _unmark_found(database: sqlite3.Connection, file: Path, roots: set[Path]) -> None:
    """A version that `register` had marked as lost after the move has its files again."""
    rows = database.execute(
        "SELECT rowid, value FROM model_version_tags WHERE key = ?", (LOST_TAG,)
    ).fetchall()
    for row, place in rows:
        root, below = _split(place)
        if root in roots and (file.parent / FOLDER / below).exists():
            database.execute("DELETE FROM model_version_tags WHERE rowid = ?", (row,))
