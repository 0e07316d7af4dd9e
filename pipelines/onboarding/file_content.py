"""The format of a file by its bytes: one of our formats, or something other than a table.

The readers go by a file's name. Here the content decides, so that a semicolon file or a zip archive
with the name `.csv` gets its own message instead of a wrong parameter file.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from decant.runtime.errors import UserError
from decant.tables import is_quoted, known_format, read_bytes, read_text

_PARQUET = b"PAR1"
# Beginnings of files that are not text, what they are, and what to do.
_BINARY = (
    (b"PK\x03\x04", "a zip archive", "unpack it, or save the sheet of a workbook as CSV"),
    (b"PK\x05\x06", "an empty zip archive", "give a file with rows"),
    (b"\x1f\x8b", "packed with gzip", "name it so that it ends in .gz, such as reviews.csv.gz"),
    (b"BZh", "packed with bzip2", "name it so that it ends in .bz2, such as reviews.csv.bz2"),
    (b"\xfd7zXZ\x00", "packed with xz", "name it so that it ends in .xz, such as reviews.csv.xz"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "name it so that it ends in .zst"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Office file", "save the sheet as CSV"),
    (b"\x89PNG", "a PNG picture", "give a table of texts"),
    (b"\xff\xd8\xff", "a JPEG picture", "give a table of texts"),
    (b"GIF8", "a GIF picture", "give a table of texts"),
    (b"%PDF-", "a PDF document", "give a table of texts"),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (b"ARROW1", "an Arrow file", "save it as Parquet"),
    (b"\x89HDF", "an HDF5 file", "save the table as Parquet"),
    (b"\x80\x04\x95", "a Python pickle, which can run code", "save the table as Parquet"),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
)
_TAR = (257, b"ustar")
_MARKUP = ("<!doctype", "<html", "<?xml", "<head", "<body")
_DELIMITERS = {",": "csv", "\t": "tsv", ";": "", "|": ""}
# Formats whose files often have another content than their name tells.
_SNIFFED = ("csv", "tsv", "txt", "parquet")
_NAMES = {";": "semicolons", "|": "vertical bars", "\t": "tabs", ",": "commas"}
_LOOKED_AT_RECORDS = 200


def content_format(file: Path) -> str:
    """The reader whose rules the file follows, inside of a compressed file too.

    Raises UserError for a file that is not a table, not readable, or of a kind without a reader.
    """
    if file.stat().st_size == 0:
        raise UserError(f"{file.name} is empty", code="file-empty", hint="give a file with rows")
    content = read_bytes(file)
    if content.startswith(_PARQUET):
        return "parquet"
    _refuse_binary(file, content)
    text = read_text(file)
    _refuse_other_text(file, text)
    named = known_format(file)
    if named == "tab":  # Orange's, with its own headers
        return named
    if _is_json(text):
        return "jsonl"
    if named and named not in _SNIFFED:  # its own reader reports what is wrong, with the line
        return named
    return _delimited_format(file, text, named)


def check_quotes(file: Path) -> None:
    """Raises UserError for a CSV record whose quotes do not match, or that is too long.

    The reader takes a quote in the middle of a field as a character, so an opening quote without
    its partner swallows all rows up to the next one.
    """
    number, width, line = 0, 0, 1
    with _long_fields():
        reader = csv.reader(io.StringIO(read_text(file), newline=""), strict=True)
        try:
            for fields in reader:
                if fields:
                    number += 1
                    width = width or len(fields)
                    if len(fields) > width:
                        problem = f"{len(fields)} fields, but the header names {width} columns"
                        raise _broken(file, number - 1, line, problem)
                line = reader.line_num + 1
        except csv.Error as error:
            problem = f"its quotes do not match ({error})"
            raise _broken(file, number, line, problem) from None


def header_of(file: Path, format_name: str) -> list[str]:
    """The names in the first record of a CSV or TSV file, unchanged."""
    delimiter = "," if format_name == "csv" else "\t"
    return next(iter(_first_records(read_text(file), delimiter, 1)), [])


def _refuse_binary(file: Path, content: bytes) -> None:
    for beginning, what, hint in _BINARY:
        if content.startswith(beginning):
            raise UserError(f"{file.name} is {what}, not a table", code="file-not-table", hint=hint)
    if content[_TAR[0] :].startswith(_TAR[1]):
        raise UserError(
            f"{file.name} is a tar archive, not a table", code="file-not-table", hint="unpack it"
        )
    if b"\x00" in content[:4096]:
        raise UserError(
            f"{file.name} is not text: it has zero bytes",
            code="file-not-table",
            hint="give CSV, TSV, JSON lines or Parquet; text must be UTF-8",
        )


def _refuse_other_text(file: Path, text: str) -> None:
    beginning = text[:200].lstrip().lower()
    if not beginning and not text.strip():
        raise UserError(
            f"{file.name} has only white space",
            code="file-empty",
            hint="give a file with rows",
        )
    if beginning.startswith("version https://git-lfs"):
        raise UserError(
            f"{file.name} is a Git LFS pointer, not the data itself",
            code="file-not-table",
            hint="fetch the data with `git lfs pull`",
        )
    if beginning.startswith("outs:") and "md5:" in text[:400]:
        raise UserError(
            f"{file.name} is a DVC pointer, not the data itself",
            code="file-not-table",
            hint="fetch the data with `dvc pull` and give the file that it names",
        )
    if beginning.startswith(_MARKUP):
        raise UserError(
            f"{file.name} is a web page or XML, not a table",
            code="file-not-table",
            hint="open it: it may be a login or error page in place of the data",
        )
    if beginning.startswith("[") and _is_json_array(text):
        raise UserError(
            f"{file.name} is one JSON array",
            code="json-array",
            hint="write one object per line, such as with `jq -c '.[]'`, into a .jsonl file",
        )


def _is_json(text: str) -> bool:
    """Whether the first line that is not blank is a JSON object."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    if not first.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except ValueError:
        return False


def _is_json_array(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def _delimited_format(file: Path, text: str, named: str | None) -> str:
    """By the delimiter that gives every record as many fields as the header has."""
    widths = {delimiter: _width(text, delimiter) for delimiter in _DELIMITERS}
    own = {"csv": ",", "tsv": "\t"}.get(named or "")
    if own and widths[own] > 1:
        return named or ""
    likely = ("\t",) if named == "txt" else widths  # a line of prose may have commas
    fitting = [one for one in likely if widths[one] > 1 and _is_even(text, one)]
    if not fitting:
        # One column, or a malformed file: the reader of that name reports which.
        return named or "txt"
    delimiter = max(fitting, key=lambda one: widths[one])
    if name := _DELIMITERS[delimiter]:
        return name
    raise UserError(
        f"the fields of {file.name} are separated by {_NAMES[delimiter]}, which no reader supports "
        f"(the first line is {_first_line(text)!r})",
        code="delimiter-unknown",
        hint="save it with commas; in a spreadsheet: Save as, CSV, field delimiter ','",
    )


def _width(text: str, delimiter: str) -> int:
    return len(next(iter(_first_records(text, delimiter, 1)), []))


def _is_even(text: str, delimiter: str) -> bool:
    """Whether no record has more fields than the header, and nearly all have as many."""
    widths = [len(record) for record in _first_records(text, delimiter, _LOOKED_AT_RECORDS)]
    as_header = sum(width == widths[0] for width in widths)
    return max(widths) == widths[0] and as_header >= 0.9 * len(widths)


def _first_records(text: str, delimiter: str, most: int) -> list[list[str]]:
    """Records of fields, blank lines left out; tabs with quotes only where the reader has them."""
    plain = delimiter == "\t" and not is_quoted(text)
    with _long_fields():
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
        )
        return list(islice((record for record in reader if record), most))


@contextmanager
def _long_fields() -> Iterator[None]:
    """The csv module refuses fields above 131,072 characters, which a text may have."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _first_line(text: str) -> str:
    line = text.lstrip().partition("\n")[0].rstrip("\r")
    return line if len(line) <= 60 else f"{line[:59]}…"


def _broken(file: Path, row: int, line: int, problem: str) -> UserError:
    return UserError(
        f"{file.name}, data row {row} (the header does not count; line {line} of the file): "
        f"{problem}",
        code="row-invalid",
        hint='correct the row; a field with a delimiter or a quote is written "like ""this"""',
    )
