"""Plain text: one text per line, in a column named `text`. For unlabelled files."""

from pathlib import Path

import pandas as pd

from decant.tables._bytes import read_text

SUFFIXES = (".txt",)


def read(file: Path) -> pd.DataFrame:
    """Raises UserError with the place of a byte that is not UTF-8. Blank lines are rows."""
    lines = read_text(file).removesuffix("\n").split("\n")
    texts = [line.removesuffix("\r") for line in lines]
    return pd.DataFrame({"text": texts}, index=pd.RangeIndex(1, len(texts) + 1), dtype="str")
