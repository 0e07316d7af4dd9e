"""The jobs on files of one size: the steps, and beside each the engine that it stands on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.input.measured_job import Measured, measure
from decant.data.corpus import SPLITS, split_rows
from decant.runtime.reporter import Reporter
from decant.sources import fetch


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the table.

    Attributes:
        rows: of the file.
        format: of the file; "" for what reads the corpus.
        job: ingest, tokenize, or the engine alone.
        measured: the fastest of the repeats, with the highest peak of them.
    """

    rows: int
    format: str
    job: str
    measured: Measured


def entries_of(
    files: Sequence[Path],
    content: Mapping[str, Any],
    rows: int,
    repeats: int,
    with_engine: bool,
    reporter: Reporter,
) -> Iterator[Entry]:
    """Measure the jobs on files of the same rows; artifacts go beside them.

    Args:
        rows: of each file.
        with_engine: measure DuckDB too.
    """
    scratch = files[0].parent
    encoder = content["ingest"]["encoder"]
    fetch(encoder)  # once, before anything is timed
    for file in files:
        section = content["ingest"] | {"source": str(file), "local_corpus": str(file)}
        ports = {"corpus": str(scratch / "corpus"), "encoder": str(scratch / "encoder")}
        jobs = {
            "ingest": ("step", {"name": "ingest", "section": section, "ports": ports, "rows": rows})
        }
        if with_engine:
            jobs["DuckDB alone"] = ("engine", {"file": str(file)})
        yield from _in_turn(jobs, rows, file.suffix[1:], repeats, reporter)
    corpus = Path(ports["corpus"])
    kept = sum(split_rows(corpus, split) for split in SPLITS)
    section = content["tokenize"]
    ports |= {"tokens": str(scratch / "tokens")}
    jobs = {
        "tokenize": (
            "step",
            {"name": "tokenize", "section": section, "ports": ports, "rows": kept},
        ),
        "tokenizers alone": (
            "tokenizers",
            {"corpus": ports["corpus"], "encoder": ports["encoder"], **section},
        ),
    }
    yield from _in_turn(jobs, rows, "", repeats, reporter)


def _in_turn(
    jobs: Mapping[str, tuple[str, Mapping[str, Any]]],
    rows: int,
    suffix: str,
    repeats: int,
    reporter: Reporter,
) -> Iterator[Entry]:
    """All jobs one after the other, as often as wanted: what else runs disturbs all alike."""
    measured: dict[str, list[Measured]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, (job, arguments) in jobs.items():
            with reporter.activity(f"{name}, {rows:,} rows {suffix}".rstrip()):
                measured[name].append(measure(job, arguments))
    for name, found in measured.items():
        best = min(found, key=lambda one: one.seconds)
        peak = max(one.peak_bytes for one in found)
        whole = Measured(rows=best.rows, seconds=best.seconds, peak_bytes=peak)
        yield Entry(rows=rows, format=suffix, job=name, measured=whole)
