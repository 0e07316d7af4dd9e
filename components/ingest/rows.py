"""All rows of all sources in one table, in the order of the files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from components.ingest.origins import Origin, fetch_watched
from decant.runtime.errors import UserError
from decant.tables import AUTO, formats, known_format, read_table


def read_rows(
    origins: Sequence[Origin],
    *,
    format_name: str,
    text_column: str,
    label_column: str,
    group_column: str | None,
) -> pd.DataFrame:
    """One row per row of the sources.

    Columns: row_id ("train.csv:17", unique), role, source (file), row (data row, from 1), text,
    label, group (strings, missing: NA); and, still empty, split, reason and kind (of rejection),
    and withheld (whether a label was set aside).

    Raises:
        UserError: a source is missing, empty or malformed, or lacks a column.
    """
    if format_name not in (AUTO, *formats()):
        raise UserError(
            f"unknown format '{format_name}'",
            code="format-unknown",
            hint=f"set ingest.format to {AUTO} or one of: {', '.join(formats())}",
        )
    files = [(origin.role, file) for origin in origins for file in _files(fetch_watched(origin))]
    names = _names(files)
    tables = []
    for (role, file), name in zip(files, names, strict=True):
        frame = read_table(file, format_name)
        labelled = not role.startswith("unlabelled")
        text = _text(frame, text_column, file, labelled)
        label = _column(frame, label_column, file, "label_column") if labelled else None
        group = None
        if group_column is not None and (role == "source" or group_column in frame.columns):
            group = _column(frame, group_column, file, "group_by")
        tables.append(_table(role, name, text, label, group))
    rows = pd.concat(tables, ignore_index=True)
    rows[["split", "reason", "kind"]] = pd.NA
    rows = rows.astype({"split": "str", "reason": "str", "kind": "str"})
    rows["withheld"] = False
    return rows


def _table(
    role: str,
    name: str,
    text: "pd.Series[str]",
    label: "pd.Series[str] | None",
    group: "pd.Series[str] | None",
) -> pd.DataFrame:
    numbers = text.index.to_series()
    columns = {
        "row_id": name + ":" + numbers.astype("str"),
        "role": role,
        "source": name,
        "row": numbers,
        "text": text,
        "label": label.str.strip() if label is not None else None,
        "group": group.str.strip().replace({"": pd.NA}) if group is not None else None,
    }
    types = dict.fromkeys(("row_id", "role", "source", "text", "label", "group"), "str")
    return pd.DataFrame(columns, index=text.index).astype({**types, "row": "int64"})


def _files(path: Path) -> list[Path]:
    """The file itself, or the files of a folder whose names imply a known format, sorted."""
    if path.is_file():
        return [path]
    files = [file for file in sorted(path.iterdir()) if file.is_file() and known_format(file)]
    if not files:
        raise UserError(
            f"there is no data file in the folder '{path}'",
            code="file-missing",
            hint=f"add a file; formats: {', '.join(formats())}",
        )
    return files


def _names(files: Sequence[tuple[str, Path]]) -> list[str]:
    """File names where they are distinct, with the role in front where not."""
    bare = [file.name for _, file in files]
    return [
        file.name if bare.count(file.name) == 1 else f"{role}/{file.name}" for role, file in files
    ]


def _text(frame: pd.DataFrame, column: str, file: Path, labelled: bool) -> "pd.Series[str]":
    """An unlabelled file may also have a single column of any name, as .txt has."""
    if not labelled and column not in frame.columns and frame.shape[1] == 1:
        return frame.iloc[:, 0]
    return _column(frame, column, file, "text_column")


def _column(frame: pd.DataFrame, column: str, file: Path, parameter: str) -> "pd.Series[str]":
    if column not in frame.columns:
        if column in (left_out := frame.attrs.get("left_out", {})):
            raise UserError(
                f"column '{column}' of {file.name} cannot be read as text: {left_out[column]}",
                code="column-not-text",
                hint=f"save it as text, or set ingest.{parameter} to another column",
            )
        raise UserError(
            f"{file.name} has no column '{column}'; it has: {', '.join(map(str, frame.columns))}",
            code="column-unknown",
            hint=f"set ingest.{parameter} to one of them",
        )
    return frame[column]
