"""Parquet. A cell is its value as text; bytes that are not text have none.

A column of lists can be read as lists of texts; any other nested column cannot be read.
"""

import re
from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from decant.runtime.errors import UserError
from decant.tables._content import PlainFile
from decant.tables._engine import Engine, literal
from decant.tables._table import Column, Table

SUFFIXES = (".parquet", ".pq")

_NESTED = ("STRUCT", "MAP", "UNION", "VARIANT")


def open_table(file: PlainFile, engine: Engine, wanted: Sequence[str]) -> Table:
    """Raises UserError when the file is not Parquet."""
    if not file.is_parquet:
        raise _unreadable(file, "it does not begin as Parquet does")
    try:
        names = pq.read_schema(file.path).names
        if not names:
            raise _unreadable(file, "it has no column")
        relation = engine.new_name("parquet")
        path, aliases = literal(str(file.path)), ", ".join(f"c{n}" for n in range(len(names)))
        engine.run(
            f"CREATE VIEW {relation} AS SELECT row_number() OVER () AS row, * "
            f"FROM read_parquet({path}, hive_partitioning=false) AS t({aliases})"
        )
        kinds = [
            str(kind) for name, kind, *_ in engine.all(f"DESCRIBE {relation}") if name != "row"
        ]
    except (pa.ArrowException, OSError, duckdb.Error) as error:
        raise _unreadable(file, str(error).partition("\n")[0]) from None
    columns = tuple(
        _column(name, f"c{n}", kind)
        for n, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    return Table(
        name=file.name,
        path=file.path,
        relation=relation,
        columns=columns,
        notes=file.notes,
        is_view=True,
    )


def _column(name: str, cell: str, kind: str) -> Column:
    if kind.endswith("]") or kind.startswith(_NESTED):
        nested = f"it has nested values ({kind})"
        return Column(name=name, cell="NULL", unreadable=nested, **_items(cell, kind))
    if kind == "BLOB":
        return Column(
            name=name,
            cell=f"TRY(decode({cell}))",
            problem=f"CASE WHEN {cell} IS NOT NULL AND TRY(decode({cell})) IS NULL "
            "THEN 'bytes that are not UTF-8' END",
        )
    if kind in ("FLOAT", "DOUBLE"):  # a column of whole numbers with gaps is often stored so
        whole = f"{cell} = trunc({cell}) AND abs({cell}) < 1e37"
        return Column(
            name=name,
            cell=f"CASE WHEN NOT isfinite({cell}) THEN NULL "
            f"WHEN {whole} THEN CAST(CAST({cell} AS HUGEINT) AS VARCHAR) "
            f"ELSE CAST({cell} AS VARCHAR) END",
        )
    if kind.startswith("DECIMAL") and not kind.endswith(",0)"):
        text = f"CAST({cell} AS VARCHAR)"
        return Column(name=name, cell=f"rtrim(rtrim({text}, '0'), '.')")
    return Column(name=name, cell=f"CAST({cell} AS VARCHAR)")


def _items(cell: str, kind: str) -> dict[str, str]:
    """How a column of lists is read as lists of texts; nothing of any other nested column."""
    found = re.fullmatch(r"(\w+(?:\([\d,]*\))?)\[\d*\]", kind)
    if found is None or found[1].startswith((*_NESTED, "BLOB")):
        return {}
    missing = "one IS NULL"
    if found[1] in ("FLOAT", "DOUBLE"):
        missing += " OR NOT isfinite(one)"
    return {
        "items": f"list_transform({cell}, lambda one: CAST(one AS VARCHAR))",
        "items_problem": f"CASE WHEN len(list_filter({cell}, lambda one: {missing})) > 0 "
        f"THEN 'the list ' || left(CAST({cell} AS VARCHAR), 60) END",
    }


def _unreadable(file: PlainFile, problem: str) -> UserError:
    return UserError(
        f"{file.name} is not a readable Parquet file: {problem.replace(str(file.path), file.name)}",
        code="file-invalid",
        hint="fetch it again, or set ingest.format to what it is",
    )
