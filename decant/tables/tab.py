"""Orange's .tab: tab-separated, with three header rows (names, types, roles) or one.

With one, a name may carry its role and type in front, as in `cD#label`.
Source: Orange Data Mining Library, "Loading your data".
"""

import re
from pathlib import Path

import pandas as pd

from decant.tables._bytes import read_text
from decant.tables._delimited import is_quoted, parse

SUFFIXES = (".tab",)

_TYPES = {"", "c", "continuous", "d", "discrete", "s", "string", "t", "time", "basket"}
_ROLE = re.compile(r"(?:class|c|meta|m|ignore|i|weight|w|multiclass|\w+=\S+|\s)*")
_PREFIX = re.compile(r"^[A-Za-z]{1,2}#")


def read(file: Path) -> pd.DataFrame:
    """Raises UserError with the place of a broken row or byte. Wholly empty rows are left out."""
    text = read_text(file)
    header_rows = 3 if _has_three_headers(text) else 1
    frame = parse(text, file, "\t", quoted=is_quoted(text), header_rows=header_rows)
    frame.columns = frame.columns.str.replace(_PREFIX, "", regex=True)
    return frame[~(frame.isna() | (frame == "")).all(axis=1)]


def _has_three_headers(text: str) -> bool:
    lines = text.split("\n", 3)
    if len(lines) < 4:
        return False
    types, roles = (line.rstrip("\r").split("\t") for line in lines[1:3])
    return (
        any(types)
        and all(cell.strip() in _TYPES for cell in types)
        and all(_ROLE.fullmatch(cell) for cell in roles)
    )
