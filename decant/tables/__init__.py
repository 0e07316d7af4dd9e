"""Tables of text from files: every file here reads one format, chosen by the suffix of a file.

A module declares `SUFFIXES` and one function:

    read(file) -> DataFrame    columns of strings, missing ones NA or empty; index: data row from 1

Rows are counted as records, without the header. A compression suffix (.gz, .bz2, .xz, .zst) may
follow the format's own.
"""

from functools import cache
from pathlib import Path
from typing import Protocol, cast

import pandas as pd

from decant.runtime.errors import UserError
from decant.runtime.plugins import plugins
from decant.tables._bytes import COMPRESSIONS, read_bytes, read_text
from decant.tables._delimited import is_quoted

__all__ = [
    "AUTO",
    "Reader",
    "formats",
    "is_quoted",
    "known_format",
    "read_bytes",
    "read_table",
    "read_text",
]

AUTO = "auto"


class Reader(Protocol):
    """The interface of a module of this folder."""

    SUFFIXES: tuple[str, ...]

    def read(self, file: Path) -> pd.DataFrame:
        """See `read_table`."""
        ...


def formats() -> tuple[str, ...]:
    """The names that a `format` parameter may have, besides "auto"."""
    return tuple(_readers())


def read_table(file: Path, format_name: str = AUTO) -> pd.DataFrame:
    """The rows of a file as strings, missing ones NA or empty, indexed by data row from 1.

    Args:
        format_name: one of `formats()`, or "auto" to go by the file's name.

    Raises:
        UserError: unknown format, malformed row or byte (with its place), or no rows.
    """
    if file.stat().st_size == 0:
        raise UserError(f"{file.name} is empty", code="file-empty", hint="give a file with rows")
    frame = _reader(file, format_name).read(file)
    if frame.empty:
        raise UserError(f"{file.name} has no rows", code="file-empty", hint="give a file with rows")
    return frame


def known_format(file: Path) -> str | None:
    """The format that the file's name implies, or None."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    return next((name for name, reader in _readers().items() if last in reader.SUFFIXES), None)


def _reader(file: Path, format_name: str) -> Reader:
    name = known_format(file) if format_name == AUTO else format_name
    if name not in _readers():
        what = f"the format of {file.name} cannot be inferred from its name"
        raise UserError(
            what if format_name == AUTO else f"unknown format '{format_name}'",
            code="format-unknown",
            hint=f"set ingest.format to one of: {', '.join(formats())}",
        )
    return _readers()[name]


@cache
def _readers() -> dict[str, Reader]:
    return {
        module.__name__.rpartition(".")[2]: cast(Reader, module)
        for module in plugins("decant.tables")
    }
