"""The rows of the user's files, and headers that the readers would accept unchanged."""

from pathlib import Path

import pandas as pd

from decant.runtime.errors import UserError
from decant.tables import read_table
from pipelines.onboarding.column_choice import LABEL_NAMES, TEXT_NAMES
from pipelines.onboarding.data_files import DataFile

LOOKED_AT_ROWS = 200_000  # of a file, to propose parameters; the trial with ingest reads all
_LONGEST_NAME_CHARACTERS = 60


def read_rows(data: DataFile) -> pd.DataFrame:
    """The first rows of its files, strictly; the columns that every file has.

    `attrs["rows"]` has the number of all rows, `attrs["lists"]` the columns whose cells are lists,
    which are written as JSON, `attrs["files"]` the name of each file with its number of rows here.
    """
    frames = []
    for file in data.files:
        frame = read_table(file, data.format_name, most=LOOKED_AT_ROWS, lists=True)
        _refuse_two_of_one_name(file, [str(name) for name in frame.columns])
        if data.format_name in ("csv", "tsv"):
            _refuse_headerless(frame, file)
        frames.append(frame)
    whole = pd.concat(frames, ignore_index=True, join="inner")
    whole.attrs = {
        "rows": sum(frame.attrs["rows"] for frame in frames),
        "lists": sorted({name for frame in frames for name in frame.attrs["lists"]}),
        "files": [(file.name, len(frame)) for file, frame in zip(data.files, frames, strict=True)],
    }
    return whole


def repeated_headers(frame: pd.DataFrame, text: str, label: str) -> int:
    return int(_rows_like_header(frame[[text, label]]).sum())


def _refuse_two_of_one_name(file: Path, names: list[str]) -> None:
    named = [name for name in names if name.strip()]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise UserError(
            f"{file.name} has {named.count(twice)} columns named '{twice}'",
            code="columns-same-name",
            hint="give each column its own name",
        )


def _refuse_headerless(frame: pd.DataFrame, file: Path) -> None:
    """A first line that is data would become the names, and its row would be lost."""
    names = [str(name) for name in frame.columns]
    numbered = [str(number) for number in range(len(names))]
    known = {*TEXT_NAMES, *LABEL_NAMES}
    if names == numbered or any(name.strip().lower() in known for name in names):
        return
    suspicious = next((name for name in names if _is_no_name(name, frame)), None)
    if suspicious is None:
        return
    shown = suspicious if len(suspicious) <= 40 else f"{suspicious[:39]}…"
    raise UserError(
        f"the first line of {file.name} looks like data, not like the names of the columns: "
        f"'{shown}'",
        code="header-missing",
        hint="put a line with names first, such as text,label",
    )


def _is_no_name(name: str, frame: pd.DataFrame) -> bool:
    if len(name) > _LONGEST_NAME_CHARACTERS and " " in name:
        return True
    if name.strip().lstrip("+-").replace(".", "", 1).isdigit():
        return True
    values = frame[name].fillna("").str.strip()
    few = values.nunique() <= max(20, len(values) // 20)
    rows = values == name.strip()
    return few and bool(rows.any()) and not _rows_like_header(frame)[rows.to_numpy()].all()


def _rows_like_header(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Rows whose every cell is its column's name, as in files joined with their headers."""
    alike = pd.Series(True, index=frame.index)
    for name in frame.columns:
        alike &= frame[name].fillna("").str.strip() == str(name).strip()
    return alike
