"""Tables of text from files: every file here reads one format, chosen by a file's name and content.

A module declares `SUFFIXES` and one function:

    open_table(file, engine, wanted) -> Table    its columns, and SQL for their cells

and, where the content alone tells it (exports of annotation tools), `recognises(first_object)`.
Rows are counted as records, without the header. A file may be compressed (gzip, bzip2, xz, zstd).

One engine reads them all, so that a value means the same in every format: a missing one is NULL
(an empty cell, null, NaN), anything else is text as it is written there.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import duckdb

from decant.runtime.errors import UserError
from decant.runtime.plugins import plugins
from decant.tables._content import COMPRESSIONS, PlainFile, plain_file
from decant.tables._delimiters import even_delimiter
from decant.tables._engine import Engine, literal, table_engine
from decant.tables._objects import first_objects
from decant.tables._table import Column, Table, rows_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AUTO",
    "Column",
    "Engine",
    "Reader",
    "Table",
    "check_format",
    "detected_format",
    "even_delimiter",
    "formats",
    "known_format",
    "literal",
    "open_table",
    "read_table",
    "reading",
    "rows_of",
    "table_engine",
]

AUTO = "auto"
# Formats whose names JSON often has.
_MISTAKEN = ("csv", "tsv", "txt")


class Reader(Protocol):
    """The interface of a module of this folder."""

    SUFFIXES: tuple[str, ...]

    def open_table(self, file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
        """See the function `open_table`."""
        ...


def formats() -> tuple[str, ...]:
    """The names that a `format` parameter may have, besides "auto"."""
    return tuple(_readers())


def check_format(name: str) -> None:
    """Raises UserError for a name that is neither a format nor "auto"."""
    if name not in (AUTO, *formats()):
        raise UserError(
            f"unknown format '{name}'",
            code="format-unknown",
            hint=f"set ingest.format to {AUTO} or one of: {', '.join(formats())}",
        )


def known_format(file: Path) -> str | None:
    """The format that the file's name implies, or None."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    return next((name for name, reader in _readers().items() if last in reader.SUFFIXES), None)


def detected_format(file: Path, engine: Engine) -> tuple[str | None, PlainFile]:
    """The format that the file's name and content imply (None: unknown), and the file unpacked.

    Raises UserError for a file that is not a table, with what it is.
    """
    plain = plain_file(file, engine)
    if plain.is_parquet:
        return "parquet", plain
    name = known_format(file)
    if name in _MISTAKEN and plain.begins_with_object():
        note = f"{file.name} has JSON objects, and was read so"
        name, plain = "jsonl", dataclasses.replace(plain, notes=(*plain.notes, note))
    elif name == "txt" and even_delimiter(plain.head(), "\t"):
        note = f"{file.name} is a table with tabs, and was read so"
        name, plain = "tsv", dataclasses.replace(plain, notes=(*plain.notes, note))
    if name == "jsonl":
        first = first_objects(plain, engine)
        for tool, reader in _readers().items():
            recognises: Any = getattr(reader, "recognises", None)
            if recognises and any(map(recognises, first)):
                note = f"{file.name} was read as an export of {tool.replace('_', ' ')}"
                return tool, dataclasses.replace(plain, notes=(*plain.notes, note))
    return name, plain


def open_table(
    file: Path,
    engine: Engine,
    format_name: str = AUTO,
    wanted: Sequence[str] = (),
    *,
    may_have_no_rows: bool = False,
) -> Table:
    """The table of a file.

    Args:
        format_name: one of `formats()`, or "auto" to go by the file's name and content.
        wanted: the columns that will be read, the text's first: they help to find the delimiter.

    Raises:
        UserError: unknown format; a malformed row or byte (with its place); no rows; or a file that
            is something else than its name says, with what it is.
    """
    check_format(format_name)
    if format_name == AUTO:
        name, plain = detected_format(file, engine)
        if name is None:
            raise UserError(
                f"the format of {file.name} cannot be inferred from its name",
                code="format-unknown",
                hint=f"set ingest.format to one of: {', '.join(formats())}",
            )
    else:
        name, plain = format_name, plain_file(file, engine)
    if plain.is_parquet and name != "parquet":
        raise UserError(
            f"{file.name} is a Parquet file, not {name}",
            code="file-invalid",
            hint="set ingest.format to parquet, or to auto",
        )
    table = _readers()[name].open_table(plain, engine, wanted)
    if may_have_no_rows:
        return table
    with reading(table):
        first = engine.first(f"SELECT row FROM {table.relation}")
    if first is None:
        raise UserError(f"{file.name} has no rows", code="file-empty", hint="give a file with rows")
    return table


@contextmanager
def reading(table: Table) -> Iterator[None]:
    """Turns the engine's own errors in the block into a UserError that names the table's file."""
    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in str(error):
            raise
        raise UserError(
            f"{table.name} cannot be read: {_words(error, table)}",
            code="file-invalid",
            hint="fetch or write it again; text must be UTF-8",
        ) from None


def _words(error: duckdb.Error, table: Table) -> str:
    """The engine's sentence, without a path of its own."""
    return str(error).partition("\n")[0].replace(str(table.path), table.name)


def read_table(
    file: Path,
    format_name: str = AUTO,
    wanted: Sequence[str] = (),
    *,
    most: int | None = None,
    lists: bool = False,
) -> "pd.DataFrame":
    """The rows of a file as strings, missing ones NA, indexed by `Table.counts` from 1.

    Columns that cannot be read as text are left out; `attrs["left_out"]` has the reason per column,
    and `attrs["rows"]` the number of all rows.

    Args:
        most: rows, the first ones; None reads all.
        lists: a column of lists of texts is read as JSON; `attrs["lists"]` has the names of these.

    Raises UserError as `open_table`.
    """
    with table_engine() as engine:
        table = open_table(file, engine, format_name, wanted)
        readable, left_out, list_names = [], {}, []
        for column in table.columns:
            reason = column.unreadable or _first_problem(table, engine, column)
            if reason and lists and (as_list := _json_lists(table, engine, column)):
                readable.append(as_list)
                list_names.append(column.name)
            elif reason:
                left_out[column.name] = reason
            else:
                readable.append(column)
        if not readable:
            reasons = "; ".join(f"'{name}': {reason}" for name, reason in left_out.items())
            raise UserError(
                f"{file.name} has no column that can be read as text: {reasons}",
                code="column-not-text",
            )
        with reading(table):
            limit = "" if most is None else f" LIMIT {most}"
            query = f"{rows_of(table, readable)} ORDER BY row{limit}"
            ((rows,),) = engine.all(f"SELECT count(*) FROM {table.relation}")
            frame: pd.DataFrame = engine.connection.sql(query).df()
    frame = frame.set_index("row", drop=True).rename_axis(None).astype("str")
    frame.columns = [column.name for column in readable]
    frame.attrs |= {"left_out": left_out, "rows": rows, "lists": list_names}
    return frame


def _json_lists(table: Table, engine: Engine, column: Column) -> Column | None:
    """The column with its lists as JSON; None where a cell is neither a list nor a text."""
    if not column.items:
        return None
    items = table.list_column(column.name, "")
    if _first_problem(table, engine, items):
        return None
    cell = f"CASE WHEN {items.cell} IS NOT NULL THEN CAST(to_json({items.cell}) AS VARCHAR) END"
    return Column(name=column.name, cell=cell)


def _first_problem(table: Table, engine: Engine, column: Column) -> str:
    if column.problem == "NULL":
        return ""
    with reading(table):
        first = engine.first(
            f"SELECT row, {column.problem} AS problem FROM {table.relation} "
            "WHERE problem IS NOT NULL ORDER BY row"
        )
    return f"{table.counts} {first[0]} has {first[1]}" if first else ""


@cache
def _readers() -> dict[str, Reader]:
    return {
        module.__name__.rpartition(".")[2]: cast(Reader, module)
        for module in plugins("decant.tables")
    }
