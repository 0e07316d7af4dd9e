"""Rows of delimited fields: the dialect in which a file can be read strictly, and its reading."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from decant.runtime.errors import UserError
from decant.tables._content import PlainFile
from decant.tables._delimiters import NAMES, long_fields, pick_delimiter
from decant.tables._engine import Engine, literal
from decant.tables._table import Column, Table

# Longer rows are refused. The engine reads in blocks of at least this size, one per thread.
MAX_ROW_BYTES = 16 << 20
_MOST_HEADER_LINES = 50


@dataclass(frozen=True, kw_only=True)
class _Dialect:
    delimiter: str
    quote: str = '"'
    escape: str = '"'

    def note(self, name: str, usual: str) -> tuple[str, ...]:
        """What is unusual of it, in words."""
        notes = []
        if self.delimiter != usual:
            notes.append(f"the fields of {name} are separated by {NAMES[self.delimiter]}")
        if self.quote and self.escape == "\\":
            notes.append(f"quotes within the fields of {name} follow a backslash")
        return tuple(notes)


@dataclass(frozen=True, kw_only=True)
class _Header:
    names: tuple[str, ...]
    lines: int  # of the file up to the first data row


def open_delimited(
    file: PlainFile,
    engine: Engine,
    wanted: Sequence[str],
    *,
    usual: str,
    header_rows: int = 1,
) -> Table:
    """Columns named by the first row that is not blank, and every other row as strings.

    Args:
        wanted: columns that are looked for; they tell which delimiter is meant.
        usual: the delimiter of the format. Another one is taken where only that gives the columns.
        header_rows: rows before the data; of these only the first is read.

    Raises:
        UserError: a row has too many or too few fields, or a quote is never closed, with the row's
            number.
    """
    delimiter = pick_delimiter(file.head(), wanted, usual)
    header = _header(file, delimiter, header_rows)
    if not header.names:
        raise UserError(f"{file.name} is empty", code="file-empty", hint="give a file with rows")
    dialects = [_Dialect(delimiter=delimiter)]
    if _holds(file.path, b'\\"'):
        dialects.append(_Dialect(delimiter=delimiter, escape="\\"))
    if delimiter == "\t":  # as `cut` and many programs write it: quotes are plain characters
        dialects.append(_Dialect(delimiter=delimiter, quote="", escape=""))
    relation, problem = engine.new_name("delimited"), ""
    for dialect in dialects:
        try:
            _load(file.path, engine, relation, header, dialect)
            break
        except duckdb.Error as error:
            problem = problem or str(error)
    else:
        if not (plain := _with_one_line_end(file.path, engine.folder / f"{relation}.txt")):
            raise _broken_row(file, dialects[0], header_rows, problem)
        try:
            dialect = dialects[0]
            _load(plain, engine, relation, header, dialect)
        except duckdb.Error as error:
            raise _broken_row(file, dialect, header_rows, str(error)) from None
    return Table(
        name=file.name,
        relation=relation,
        columns=tuple(Column(name=name, cell=f"c{n}") for n, name in enumerate(header.names)),
        notes=(*file.notes, *dialect.note(file.name, usual)),
        delimiter=delimiter,
    )


def _load(path: Path, engine: Engine, relation: str, header: _Header, dialect: _Dialect) -> None:
    columns = ", ".join(f"c{n}: 'VARCHAR'" for n in range(len(header.names)))
    # Of one column, a blank line is no row, but "" is one.
    alone = len(header.names) == 1
    blank_lines = " WHERE c0 IS NOT NULL" if alone else ""
    engine.run(
        f"CREATE OR REPLACE TABLE {relation} AS SELECT row_number() OVER () AS row, * "
        f"FROM read_csv({literal(str(path))}, auto_detect=false, header=false, "
        f"skip={header.lines}, delim={literal(dialect.delimiter)}, "
        f"quote={literal(dialect.quote)}, escape={literal(dialect.escape)}, "
        f"columns={{{columns}}}, strict_mode=true, null_padding=false, comment='', "
        "compression='none', hive_partitioning=false, "
        f"allow_quoted_nulls={not alone}, max_line_size={MAX_ROW_BYTES}, "
        f"buffer_size={2 * MAX_ROW_BYTES}){blank_lines}"
    )


def _header(file: PlainFile, delimiter: str, header_rows: int) -> _Header:
    found: list[str] = []
    rows = 0
    with file.path.open(encoding="utf-8-sig", newline="") as stream, long_fields():
        reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
        for record in reader:
            if record or rows:  # blank lines may come before the header only
                rows += 1
                found = found or [name.strip() for name in record]
            if rows == header_rows:
                break
        if reader.line_num > _MOST_HEADER_LINES and found:
            raise UserError(
                f"{file.name}: a quote in the header is closed {reader.line_num} lines later",
                code="row-invalid",
                hint="remove the quote, or close it in the header's line",
            )
        return _Header(names=tuple(found), lines=reader.line_num)


def _holds(path: Path, wanted: bytes) -> bool:
    rest = b""
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            if wanted in rest + chunk:
                return True
            rest = chunk[-len(wanted) :]
    return False


def _with_one_line_end(path: Path, target: Path) -> Path | None:
    """A copy whose lines all end alike, for files put together from several systems' lines."""
    with path.open("rb") as source, target.open("wb") as sink:
        changed = False
        for line in source:
            if line.endswith(b"\r\n"):
                line, changed = line[:-2] + b"\n", True
            sink.write(line)
    return target if changed else None


def _broken_row(file: PlainFile, dialect: _Dialect, header_rows: int, problem: str) -> UserError:
    """Find the row again with a slower reader that knows its place."""
    number, width, line = 0, 0, 1
    with file.path.open(encoding="utf-8-sig", newline="") as stream, long_fields():
        reader = csv.reader(stream, delimiter=dialect.delimiter, strict=True, skipinitialspace=True)
        try:
            for fields in reader:
                if fields:  # blank lines do not count
                    number += 1
                    width = width or len(fields)
                    if number > header_rows and len(fields) != width:
                        problem = f"{_plural(len(fields))}, but the header names {width} columns"
                        break
                line = reader.line_num + 1
            else:
                return UserError(
                    f"{file.name} cannot be read: {_engine_words(problem)}", code="file-invalid"
                )
        except csv.Error as error:
            number, problem = number + 1, f"its quotes do not match ({error})"
    return UserError(
        f"{file.name}, data row {number - header_rows} (the header does not count; "
        f"line {line} of the file): {problem}",
        code="row-invalid",
        hint='fix the row; write a field with a delimiter or a quote "like ""this"""',
    )


def _plural(fields: int) -> str:
    return "1 field" if fields == 1 else f"{fields} fields"


def _engine_words(message: str) -> str:
    """The engine's sentences, without its path and its advice."""
    if "Maximum line size" in message:
        return f"a row is longer than {MAX_ROW_BYTES >> 20} MiB"
    kept = []
    for line in message.split("\n"):
        if line.startswith(("Possible", "* ", "  file", "LINE")):
            break
        kept.append(line.strip())
    return " ".join(filter(None, kept)).removeprefix("Invalid Input Error: ")
