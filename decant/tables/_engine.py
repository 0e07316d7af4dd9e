"""DuckDB, with room to work in: what reads tables and works on their rows.

DuckDB and not Polars or Arrow: it refuses what it cannot read strictly and names the line, keeps
the raw spelling of numbers in JSON, spills to disk in every operator, and gives the same rows on
any number of threads. Arrow takes a stray quote for the end of a field, so that two of them swallow
the rows in between, and has no joins that spill; Polars fills up short rows without a word, and
names the byte of a bad quote, not its row.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from decant.runtime.errors import UserError

# Of the rows in hand; what does not fit goes to the folder. 320 are too few for ten million rows.
# Some hundred MB come on top: the reader's buffers, Python, and the libraries of a step.
MEMORY_MB = 384
_WILDCARDS = set("*?[]{}")
_SETTINGS: dict[str, str | int | float | list[str]] = {
    "memory_limit": f"{MEMORY_MB}MB",
    "preserve_insertion_order": True,
    # Nothing is fetched, and no code comes from outside.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


@dataclass(frozen=True)
class Engine:
    """A database for the time of one job.

    Attributes:
        folder: for what is unpacked and for what does not fit into memory; removed at the end.
        links: a folder whose path has no wildcards; removed at the end.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path
    links: Path
    _numbers: Iterator[int] = field(default_factory=count, repr=False)

    def run(self, sql: str) -> None:
        """Execute statements that give nothing back."""
        self.connection.execute(sql).fetchall()

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that a query gives."""
        return self.connection.execute(sql).fetchall()

    def first(self, sql: str) -> tuple[Any, ...] | None:
        """The first row that a query gives, None when there is none."""
        return next(iter(self.all(f"SELECT * FROM ({sql}) LIMIT 1")), None)

    def batches(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """What a query gives, in its order, in batches of `rows` (the last may have fewer)."""
        rest: list[pa.RecordBatch] = []
        cursor = self.connection.cursor()
        for batch in cursor.sql(sql).to_arrow_reader(rows):
            rest.append(batch)
            while sum(one.num_rows for one in rest) >= rows:
                table = pa.Table.from_batches(rest).combine_chunks()
                yield table.slice(0, rows).to_batches()[0]
                rest = table.slice(rows).to_batches()
        if any(one.num_rows for one in rest):
            yield pa.Table.from_batches(rest).combine_chunks().to_batches()[0]
        cursor.close()

    def readable(self, file: Path) -> Path:
        """A path of the file in which the engine finds no wildcards, as in `reviews[1].csv`."""
        if not _WILDCARDS & set(str(file)):
            return file
        link = self.links / self.new_name("file")
        link.symlink_to(file.resolve())
        return link

    def new_name(self, kind: str) -> str:
        """A name of a table, view or file that is not taken."""
        return f"{kind}_{next(self._numbers)}"


@contextmanager
def table_engine(parent: Path | None = None) -> Iterator[Engine]:
    """An engine whose folder lies in `parent`, or where the system has its temporary files.

    Raises UserError when the disk is full, or a table has more rows than it can hold.
    """
    if parent and "\\" in str(parent):  # which the engine takes for a folder's end
        parent = None
    with (
        tempfile.TemporaryDirectory(prefix=".tables-", dir=parent) as name,
        tempfile.TemporaryDirectory(prefix="tables-") as links,
    ):
        folder = Path(name)
        connection = duckdb.connect(
            str(folder / "tables.duckdb"),
            config={**_SETTINGS, "temp_directory": str(folder / "spilled")},
        )
        # Or a time would be written in the machine's own.
        connection.execute("SET TimeZone = 'UTC'")
        try:
            yield Engine(connection, folder, Path(links))
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise UserError(
                f"the tables need more memory or disk than there is: {_first_sentence(error)}",
                code="disk-full",
                hint="make room for about three times the size of the data, or set TMPDIR to a "
                "larger disk",
            ) from None
        finally:
            connection.close()


def literal(text: str) -> str:
    """A string as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _first_sentence(error: duckdb.Error) -> str:
    return str(error).strip().partition("\n")[0]
