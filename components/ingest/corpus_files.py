"""The corpus artifact's files, and the figures and the table of its rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.ingest.rows import ROW_ID
from decant.data.corpus import LABELLED_SPLITS, SPLITS
from decant.runtime.reporter import Reporter
from decant.tables import Engine
from decant.tasks.declared import Declared
from decant.tasks.labels import column_of
from decant.tasks.rows import rows_of
from decant.tasks.task import Task

# Files are written in parts of this many rows, so that their bytes do not depend on the threads.
_ROWS_AT_ONCE = 50_000


def write_splits(engine: Engine, targets: Sequence[Declared], task: Task, folder: Path) -> None:
    """Every row goes to exactly one split or to the rejected ones, in the order of the sources."""
    _check_accounts(engine)
    names = [column_of(task, target) for target in task.targets]
    columns = "".join(
        f'live.{target.sql} AS "{name}", ' for target, name in zip(targets, names, strict=True)
    )
    for split in SPLITS:
        label = "" if split == "unlabelled" else columns
        _write(
            engine,
            folder / f"{split}.parquet",
            f'SELECT {ROW_ID} AS row_id, rows.text, {label}live.grp AS "group" '
            "FROM live JOIN rows USING (id) JOIN files USING (file) "
            f"WHERE live.split = '{split}' ORDER BY live.id",
        )
    _write(
        engine,
        folder / "rejected.parquet",
        "SELECT files.name AS source, rows.row, rejected.reason, rows.text "
        "FROM rejected JOIN rows USING (id) JOIN files USING (file) ORDER BY rejected.id",
    )


def report_rows(engine: Engine, targets: Sequence[Declared], reporter: Reporter) -> None:
    """Log how many rows there are per split, label and reason of rejection."""
    ((rows,),) = engine.all("SELECT count(*) FROM rows")
    sizes = dict(engine.all("SELECT split, count(*) FROM live GROUP BY split"))
    kinds = dict(engine.all("SELECT kind, count(*) FROM rejected GROUP BY kind ORDER BY 2 DESC, 1"))
    kept, rejected = sum(sizes.values()), sum(kinds.values())
    reporter.metric("rows_in", rows)
    for split in SPLITS:
        reporter.metric(f"rows_{split}", sizes.get(split, 0))
    reporter.metric("rows_rejected", rejected)
    for target in targets:
        if rows_of(target).HAS_LABELS:
            of = "" if len(targets) == 1 else f".{target.name}"
            reporter.metric(f"classes{of}", len(target.labels or ()))
    ((withheld,),) = engine.all("SELECT count(*) FROM live WHERE withheld")
    reporter.metric("labels_withheld", withheld)
    for kind in sorted(kinds):
        reporter.metric(f"rejected_{kind}", kinds[kind])
    for target in targets:
        title = "rows per class and split" if rows_of(target).HAS_LABELS else "numbers per split"
        named = title if len(targets) == 1 else f"{target.name}: {title}"
        table = [*_label_rows(engine, target), *_summary_rows(engine, target)]
        table.append(["all", *(sizes.get(split, 0) for split in SPLITS)])
        reporter.table(named, ("class", *SPLITS), table)
    reasons = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none"
    reporter.message(
        f"{rows} rows in = {kept} kept + {rejected} rejected ({reasons}; "
        "each with its reason in rejected.parquet)"
    )


def rows_per_label(engine: Engine, target: Declared) -> dict[tuple[str, str], int]:
    """Rows by label and labelled split."""
    each = rows_of(target).each_label(target.sql)
    found = engine.all(f"SELECT label, split, count(*) FROM ({each}) GROUP BY label, split")
    return {(label, split): count for label, split, count in found}


def _label_rows(engine: Engine, target: Declared) -> list[list[Any]]:
    counts = rows_per_label(engine, target)
    return [
        [label, *(counts.get((label, split), 0) for split in LABELLED_SPLITS), ""]
        for label in target.labels or ()
    ]


def _summary_rows(engine: Engine, target: Declared) -> list[list[Any]]:
    aggregates = rows_of(target).summary(target.sql)
    if not aggregates:
        return []
    found = engine.all(
        f"SELECT split, {', '.join(aggregates.values())} FROM live "
        f"WHERE NOT unlabelled AND {target.sql} IS NOT NULL GROUP BY split"
    )
    by_split = {split: values for split, *values in found}
    return [
        [name, *(_rounded(by_split[one][n]) if one in by_split else "" for one in SPLITS)]
        for n, name in enumerate(aggregates)
    ]


def _rounded(value: float) -> float:
    return round(value, 4) if isinstance(value, float) else value


def _check_accounts(engine: Engine) -> None:
    ((rows, kept, rejected, unplaced),) = engine.all(
        "SELECT (SELECT count(*) FROM rows), (SELECT count(*) FROM live), "
        "(SELECT count(DISTINCT id) FROM rejected), "
        "(SELECT count(*) FROM live WHERE split IS NULL)"
    )
    if rows != kept + rejected or unplaced:
        raise RuntimeError("a row is neither kept nor rejected, or both")


def _write(engine: Engine, file: Path, query: str) -> None:
    schema = engine.connection.sql(query).limit(0).to_arrow_table().schema
    with pq.ParquetWriter(file, schema) as writer:
        for batch in engine.batches(query, _ROWS_AT_ONCE):
            writer.write_table(pa.Table.from_batches([batch], schema=schema))
