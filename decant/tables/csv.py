"""Comma-separated values with one header row; UTF-8, with or without Excel's byte order mark."""

from pathlib import Path

import pandas as pd

from decant.tables._bytes import read_text
from decant.tables._delimited import parse

SUFFIXES = (".csv",)


def read(file: Path) -> pd.DataFrame:
    """Raises UserError with the place of a broken row or byte."""
    return parse(read_text(file), file, ",")
