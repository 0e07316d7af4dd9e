"""Tab-separated values with one header row.

Quotes are read as Excel writes them where the whole file keeps to that, else as plain characters.
"""

from pathlib import Path

import pandas as pd

from decant.tables._bytes import read_text
from decant.tables._delimited import is_quoted, parse

SUFFIXES = (".tsv",)


def read(file: Path) -> pd.DataFrame:
    """Raises UserError with the place of a broken row or byte."""
    text = read_text(file)
    return parse(text, file, "\t", quoted=is_quoted(text))
