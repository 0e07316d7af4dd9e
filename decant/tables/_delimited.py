"""Rows of delimited fields: the dialect in which a file can be read strictly, and its reading."""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from decant.runtime.errors import UserError
from decant.tables._content import PlainFile
from decant.tables._delimiters import NAMES, long_fields, pick_delimiter, plain_name
from decant.tables._engine import Engine, literal
from decant.tables._table import Column, Table

# Longer rows are refused. The engine reads in blocks of at least this size, one per thread.
MAX_ROW_BYTES = 16 << 20
_MOST_HEADER_LINES = 50
_SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t])"?\r?\n')  # Excel's own first line
_LINE_END = re.compile(rb"\r\n?")
_ESCAPED = re.compile(rb'\\(["\\])')
_ROW_HINT = 'fix the row; write a field with a delimiter or a quote "like ""this"""'


@dataclass(frozen=True, kw_only=True)
class _Dialect:
    delimiter: str
    quote: str = '"'
    backslashes: bool = False

    def note(self, name: str, usual: str) -> tuple[str, ...]:
        """What is unusual of it, in words."""
        notes = []
        if self.delimiter != usual:
            notes.append(f"the fields of {name} are separated by {NAMES[self.delimiter]}")
        if self.backslashes:
            notes.append(f"quotes within the fields of {name} follow a backslash")
        return tuple(notes)


@dataclass(frozen=True, kw_only=True)
class _Header:
    names: tuple[str, ...]
    records: int  # up to the first data row
    skipped_lines: int  # before them, such as Excel's `sep=;`


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
    head = file.head()
    told = _SEPARATOR_LINE.match(head)
    delimiter = told[1] if told else pick_delimiter(head, wanted, usual)
    header = _header(file, delimiter, header_rows, skipped_lines=1 if told else 0)
    if not header.names:
        raise UserError(f"{file.name} is empty", code="file-empty", hint="give a file with rows")
    relation = engine.new_name("delimited")
    dialect = _load(file, engine, relation, header, delimiter)
    return Table(
        name=file.name,
        path=file.path,
        relation=relation,
        columns=tuple(Column(name=name, cell=f"c{n}") for n, name in enumerate(header.names)),
        notes=(*file.notes, *dialect.note(file.name, usual)),
        delimiter=delimiter,
    )


def _load(
    file: PlainFile, engine: Engine, relation: str, header: _Header, delimiter: str
) -> _Dialect:
    """Fill the relation, and tell in which dialect the file could be read strictly."""
    dialects = [_Dialect(delimiter=delimiter)]
    if _holds(file.path, b'\\"'):
        dialects.append(_Dialect(delimiter=delimiter, backslashes=True))
    if delimiter == "\t":  # as `cut` and many programs write it: quotes are plain characters
        dialects.append(_Dialect(delimiter=delimiter, quote=""))
    # Files put together from several systems' lines are read as one system's.
    paths = [file.path]
    if _holds(file.path, b"\r"):
        paths.append(engine.folder / f"{relation}.lines")
    problem = ""
    for path in paths:
        if path != file.path:
            _rewrite(file.path, path, _LINE_END, lambda found: b"\n")
        for dialect in dialects:
            readable = path
            if dialect.backslashes:
                readable = engine.folder / f"{relation}.quotes"
                _rewrite(path, readable, _ESCAPED, _doubled)
            try:
                _read(readable, engine, relation, header, dialect)
                _refuse_surplus_fields(file, header, dialect, readable)
                return dialect
            except duckdb.Error as error:
                problem = problem or str(error)
    raise _broken_row(file, dialects[0], header, problem)


def _read(path: Path, engine: Engine, relation: str, header: _Header, dialect: _Dialect) -> None:
    columns = ", ".join(f"c{n}: 'VARCHAR'" for n in range(len(header.names)))
    # Of one column, a blank line is no row, but "" is one.
    alone = len(header.names) == 1
    blank_lines = " WHERE c0 IS NOT NULL" if alone else ""
    engine.run(
        f"CREATE OR REPLACE TABLE {relation} AS "
        f"SELECT row_number() OVER () - {header.records} AS row, * FROM ("
        f"SELECT * FROM read_csv({literal(str(path))}, auto_detect=false, header=false, "
        f"skip={header.skipped_lines}, delim={literal(dialect.delimiter)}, "
        f"quote={literal(dialect.quote)}, escape={literal(dialect.quote)}, "
        f"columns={{{columns}}}, strict_mode=true, null_padding=false, comment='', "
        "compression='none', hive_partitioning=false, "
        f"allow_quoted_nulls={not alone}, max_line_size={MAX_ROW_BYTES}, "
        f"buffer_size={2 * MAX_ROW_BYTES}){blank_lines})"
    )
    engine.run(f"DELETE FROM {relation} WHERE row < 1")


def _header(file: PlainFile, delimiter: str, header_rows: int, *, skipped_lines: int) -> _Header:
    found: list[str] = []
    rows = 0
    with file.path.open(encoding="utf-8-sig", newline="") as stream, long_fields():
        for _ in range(skipped_lines):
            stream.readline()
        reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
        for record in filter(None, reader):  # blank lines are not rows
            rows += 1
            found = found or [plain_name(name) for name in record]
            if rows == header_rows:
                break
        if reader.line_num > _MOST_HEADER_LINES and found:
            raise UserError(
                f"{file.name}: a quote in the header is closed {reader.line_num} lines later",
                code="row-invalid",
                hint="remove the quote, or close it in the header's line",
            )
    return _Header(names=tuple(found), records=rows, skipped_lines=skipped_lines)


def _refuse_surplus_fields(file: PlainFile, header: _Header, dialect: _Dialect, path: Path) -> None:
    """The engine forgives empty fields at the end, though a comma of a text may have made them."""
    end = dialect.delimiter.encode()
    if header.names[-1] == "" or not (_holds(path, end + b"\n") or _holds(path, end + b"\r")):
        return
    with path.open(encoding="utf-8-sig", newline="") as stream, long_fields():
        for _ in range(header.skipped_lines):
            stream.readline()
        reader = csv.reader(
            stream,
            delimiter=dialect.delimiter,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
            skipinitialspace=True,
        )
        for number, fields in enumerate(filter(None, reader)):
            if len(fields) > len(header.names):
                raise _bad_row(file, number - header.records + 1, reader.line_num, fields, header)


def _holds(path: Path, wanted: bytes) -> bool:
    rest = b""
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            if wanted in rest + chunk:
                return True
            rest = chunk[-len(wanted) :]
    return False


def _rewrite(
    path: Path, target: Path, what: "re.Pattern[bytes]", new: Callable[["re.Match[bytes]"], bytes]
) -> None:
    with path.open("rb") as source, target.open("wb") as sink:
        for line in source:
            sink.write(what.sub(new, line))


def _doubled(escaped: "re.Match[bytes]") -> bytes:
    return b'""' if escaped[1] == b'"' else b"\\"


def _broken_row(file: PlainFile, dialect: _Dialect, header: _Header, problem: str) -> UserError:
    """Find the row again with a slower reader that knows its place."""
    number, line = 0, 1
    with file.path.open(encoding="utf-8-sig", newline="") as stream, long_fields():
        for _ in range(header.skipped_lines):
            stream.readline()
        reader = csv.reader(stream, delimiter=dialect.delimiter, strict=True, skipinitialspace=True)
        try:
            for fields in reader:
                if fields:  # blank lines do not count
                    number += 1
                    if number > header.records and len(fields) != len(header.names):
                        return _bad_row(file, number - header.records, line, fields, header)
                line = reader.line_num + 1
        except csv.Error as error:
            row = number + 1 - header.records
            place = f"data row {row}" if row > 0 else "the header"
            return UserError(
                f"{file.name}, {place} (line {line} of the file): its quotes do not match "
                f"({error})",
                code="row-invalid",
                hint=_ROW_HINT,
            )
    return UserError(
        f"{file.name} cannot be read: {_engine_words(problem)}",
        code="file-invalid",
        hint="save it again as CSV in UTF-8, with one kind of line ends",
    )


def _bad_row(
    file: PlainFile, row: int, line: int, fields: Sequence[str], header: _Header
) -> UserError:
    names = ", ".join(header.names)
    shown = names if len(names) <= 80 else f"{names[:79]}…"
    return UserError(
        f"{file.name}, data row {row} (the header does not count; line {line} of the file): "
        f"{_counted(len(fields), 'field')}, but the header names "
        f"{_counted(len(header.names), 'column')}: {shown}",
        code="row-invalid",
        hint=_ROW_HINT,
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


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
