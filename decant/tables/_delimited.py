"""Rows of delimited fields, as strings."""

import csv
import io
import re
import warnings
from pathlib import Path

import pandas as pd

from decant.runtime.errors import UserError

# Tab-separated files come in two kinds: with quotes as Excel writes them, and without.
_QUOTED_FIELD = re.compile(r'(?:^|(?<=\t))"(?:[^"]|"")*"(?=\t|\r?$)', re.MULTILINE)
_OPEN_QUOTE = re.compile(r'(?:^|\t)"', re.MULTILINE)


def parse(
    text: str, file: Path, delimiter: str, *, quoted: bool = True, header_rows: int = 1
) -> pd.DataFrame:
    """Columns named by the first row, unchanged strings; a short row ends in empty ones.

    Args:
        header_rows: rows before the data; of these only the first is read.

    Raises:
        UserError: a row has too many fields, or a quote is never closed, with the row's number.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text),
                sep=delimiter,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
                skiprows=range(1, header_rows),
            )
    except pd.errors.EmptyDataError:
        raise UserError(
            f"{file.name} is empty", code="file-empty", hint="give a file with rows"
        ) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise _broken_row(text, file, delimiter, quoted, header_rows, str(error)) from None
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame


def is_quoted(text: str) -> bool:
    """Whether every tab-separated field that opens with a quote also closes with one."""
    return not _OPEN_QUOTE.search(text) or not _OPEN_QUOTE.search(_QUOTED_FIELD.sub("", text))


def _broken_row(
    text: str, file: Path, delimiter: str, quoted: bool, header_rows: int, problem: str
) -> UserError:
    """Find the row again with a slower reader that knows its place."""
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    number, width, line = 0, 0, 1
    try:
        for fields in reader:
            if fields:  # blank lines do not count
                number += 1
                width = width or len(fields)
                if len(fields) > width:
                    problem = f"{len(fields)} fields, but the header names {width} columns"
                    break
            line = reader.line_num + 1
        else:
            return UserError(f"{file.name} cannot be read: {problem.strip()}", code="file-invalid")
    except csv.Error as error:
        number, problem = number + 1, f"its quotes do not match ({error})"
    return UserError(
        f"{file.name}, data row {number - header_rows} (the header does not count; "
        f"line {line} of the file): {problem}",
        code="row-invalid",
        hint='fix the row; write a field with a delimiter or a quote "like ""this"""',
    )
