"""The command: make the rows, measure each job, show one table and write one file."""

import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from os import cpu_count
from pathlib import Path
from typing import Any

import click
import pandas as pd

from benchmarks.input.entries import Entry, entries_of
from benchmarks.input.made_rows import made_rows, write_rows
from decant.runtime.params_file import read_params_file
from decant.runtime.reporter import Reporter
from decant.sources import fetch

_FORMATS = ("parquet", "csv")


@click.command("input")
@click.option(
    "--rows",
    "sizes",
    type=click.IntRange(min=100),
    multiple=True,
    default=(100_000, 1_000_000, 10_000_000),
    show_default=True,
    help="Rows of a file; repeatable.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(_FORMATS),
    multiple=True,
    default=_FORMATS,
    show_default=True,
    help="Of the file; repeatable.",
)
@click.option("--repeats", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=13, show_default=True)
@click.option(
    "--params",
    type=click.Path(path_type=Path),
    default=Path("params.yaml"),
    show_default=True,
    help="Its ingest.source (a CSV file) has the texts that the rows are made of.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="For the files, about 6 GB for 10 million rows; the system's temporary folder by default.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("input.json"),
    show_default=True,
    help="File for the figures.",
)
@click.option("--without-engine", is_flag=True, help="Do not measure DuckDB alone.")
def input_command(
    sizes: tuple[int, ...],
    formats: tuple[str, ...],
    repeats: int,
    seed: int,
    params: Path,
    folder: Path | None,
    output: Path,
    without_engine: bool,
) -> None:
    """Measure ingest and tokenize, each in a process of its own.

    Beside them stand DuckDB, which reads the file alone, and `tokenizers` alone, on all cores. The
    rows are made of the texts of ingest.source. One table, and one file of figures.
    """
    content = read_params_file(params)
    reporter = Reporter(step="input")
    entries: list[Entry] = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="decant-input-", dir=folder) as scratch:
            files = _files(Path(scratch), formats, content["ingest"], rows, seed, reporter)
            for entry in entries_of(files, content, rows, repeats, not without_engine, reporter):
                entries.append(entry)
                output.write_text(_as_json(entries, seed, repeats), "utf-8")
    reporter.table("input", ("job", "file", "rows", "s", "rows/s", "peak MB"), _cells(entries))
    reporter.message(f"figures: {output}")


def _files(
    scratch: Path,
    formats: Sequence[str],
    ingest: Mapping[str, Any],
    rows: int,
    seed: int,
    reporter: Reporter,
) -> list[Path]:
    text, label, group = (ingest[f"{name}"] for name in ("text_column", "label_column", "group_by"))
    base = pd.read_csv(fetch(ingest["source"]), dtype=str)
    base = base[[name for name in (text, label, group) if name is not None]]
    files = [scratch / f"rows.{suffix}" for suffix in formats]
    with reporter.activity(f"making {rows:,} rows"):
        write_rows(made_rows(base, text=text, group=group, rows=rows, seed=seed), files)
    return files


def _cells(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    return [
        (
            entry.job,
            entry.format,
            f"{entry.measured.rows:,}",
            f"{entry.measured.seconds:,.2f}",
            f"{entry.measured.rows / entry.measured.seconds:,.0f}",
            f"{entry.measured.peak_bytes / 1e6:,.0f}",
        )
        for entry in entries
    ]


def _as_json(entries: Sequence[Entry], seed: int, repeats: int) -> str:
    content = {
        "cores": cpu_count(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "tokenizers": version("tokenizers"),
        "seed": seed,
        "repeats": repeats,
        "entries": [asdict(entry) for entry in entries],
    }
    return json.dumps(content, indent=2)
