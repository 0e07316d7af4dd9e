"""One JSON object per line. Numbers and booleans become strings as JSON writes them."""

import json
from pathlib import Path

import pandas as pd

from decant.runtime.errors import UserError
from decant.tables._bytes import read_text

SUFFIXES = (".jsonl", ".ndjson")


def read(file: Path) -> pd.DataFrame:
    """Raises UserError with the line that is not a JSON object of text. Blank lines are skipped."""
    rows: list[dict[str, str | None]] = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            rows.append(_row(line, file, number))
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1), dtype="str")


def _row(line: str, file: Path, number: int) -> dict[str, str | None]:
    try:
        value = json.loads(line)
        if isinstance(value, dict):
            row = {key: _text(item) for key, item in value.items()}
            for text in (*row.keys(), *row.values()):
                (text or "").encode()  # JSON can escape half a surrogate pair, which is not text
            return row
    except UnicodeEncodeError as error:
        problem = f"unpaired surrogate {error.object[error.start]!a} is not a character"
    except ValueError as error:
        problem = str(error)
    else:
        problem = f"a JSON {type(value).__name__}, not an object"
    raise UserError(
        f"{file.name}, line {number} (the first line of the file is 1): {problem}",
        code="row-invalid",
        hint='each line must be one object, such as {"text": "...", "label": "..."}',
    )


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
