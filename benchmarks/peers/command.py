"""The command: prepare all entries, measure them, write one file, one table and two pictures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil

from benchmarks.peers.cold_start import cold_start
from benchmarks.peers.entries import ENTRIES, TEACHER
from benchmarks.peers.peer import Run
from benchmarks.peers.pictures import (
    ACCURACY_LATENCY,
    PERCENTILES,
    draw_accuracy_latency,
    draw_percentiles,
)
from benchmarks.peers.prepared import folder_bytes, prepare, require_run
from benchmarks.peers.results import Measured, accuracy, markdown
from benchmarks.peers.timed import Job, measure_in_process
from components.evaluate.contract import Params
from components.evaluate.labelled_rows import read_labelled
from components.evaluate.machine import machine_facts
from components.finetune.contract import Params as FinetuneParams
from decant.data.corpus import read_schema
from decant.figures.metrics_file import as_json
from decant.runtime.errors import UserError
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse
from decant.tasks.labels import column_of

FIGURES, TABLE = "peers.json", "peers.md"
_BUSY_SHARE = 0.2  # of the cores
_PACKAGES = ("scikit-learn", "skl2onnx", "model2vec", "fasttext-community")


@click.command("peers")
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("artifacts"),
    show_default=True,
    help="The artifacts of a finished run.",
)
@click.option(
    "--params",
    type=click.Path(path_type=Path),
    default=Path("params.yaml"),
    show_default=True,
    help="Of that run.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/peers"),
    show_default=True,
    help="Folder for the figures, the table and the pictures.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=Path("build/peers/prepared"),
    show_default=True,
    help="Folder for what is trained and converted, once per run.",
)
@click.option(
    "--only",
    "names",
    type=click.Choice(list(ENTRIES)),
    multiple=True,
    help="Measure these entries and the teacher; repeatable.",
)
@click.option(
    "--texts",
    type=click.IntRange(min=10),
    help="Test texts to time one by one; evaluate.latency_texts by default.",
)
@click.option("--batches", type=click.IntRange(min=1), default=30, show_default=True)
@click.option(
    "--starts",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Cold starts of each entry, whose median counts.",
)
def peers_command(
    folder: Path,
    params: Path,
    output: Path,
    cache: Path,
    names: tuple[str, ...],
    texts: int | None,
    batches: int,
    starts: int,
) -> None:
    """Measure a finished run's student beside its teacher and other ways to classify texts.

    Text in, label out, on the same test rows: accuracy, latency alone and in batches, on one thread
    and on all cores, size, memory and cold start, with the ratios to the teacher. An entry whose
    package is not installed is named and left out.
    """
    reporter = Reporter(step="peers")
    content = read_params_file(params)
    how = parse(Params, section_of(content, "evaluate", Params), "evaluate")
    run = _run(folder, content, how)
    test = read_labelled(folder / "corpus", "test", run.task)
    wanted = [name for name in ENTRIES if not names or name in names or name == TEACHER]
    folders, skipped = prepare(wanted, run, cache.absolute(), reporter)
    for name, why in skipped.items():
        reporter.warning(f"{ENTRIES[name].title} is not measured: {why}")
    _warn_if_busy(reporter)
    starts_of = {}
    with reporter.progress("cold starts", len(folders), unit="models") as advance:
        for name, own in folders.items():
            starts_of[name] = cold_start(name, own, test.texts[0], starts=starts)
            advance(1)
    count = min(texts or how.latency_texts, len(test.texts))
    found = {}
    for threads, label in ((1, "1"), (0, "all")):
        job = _job(folders, threads, test.texts, count, batches, how)
        with reporter.activity(f"times, threads: {label}"):
            found[label] = measure_in_process(job)
    right = test.table.column(column_of(run.task, run.task.targets[0])).to_pylist()
    measured = _together(folders, found, starts_of, right)
    facts = {
        "machine": as_json(machine_facts(1)),
        "rows": {"train": read_labelled(folder / "corpus", "train", run.task).table.num_rows}
        | {"test": len(right), "timed": count, "batches": batches, "batch_size": how.batch_size},
        "versions": {one: _version(one) for one in _PACKAGES},
    }
    _write(output, measured, skipped, facts)
    _show(measured, reporter)
    reporter.message(f"figures, table and pictures: {output}")


def _run(folder: Path, content: Mapping[str, Any], how: Params) -> Run:
    """Raises UserError for another task than one target with classes."""
    require_run(folder)
    task = read_schema(folder / "corpus").task
    if not task.is_classes_alone:
        raise UserError(
            f"{folder} has another target than one column of classes",
            code="option-value",
            hint="the peers answer with one label per text; `decant study` compares the others",
        )
    return Run(
        folder=folder.absolute(),
        task=task,
        c_grid=how.tfidf_c_grid,
        seed=how.seed,
        finetune=section_of(content, "finetune", FinetuneParams),
    )


def _job(
    folders: Mapping[str, Path],
    threads: int,
    texts: Sequence[str],
    count: int,
    batches: int,
    how: Params,
) -> Job:
    """The labels come from the process with one thread, as one text is answered."""
    draw = np.random.default_rng(how.seed)
    timed = [texts[index] for index in np.sort(draw.choice(len(texts), count, replace=False))]
    drawn = draw.integers(len(texts), size=(batches, how.batch_size))
    return Job(
        folders={name: str(own) for name, own in folders.items()},
        threads=threads,
        rows=list(texts) if threads == 1 else [],
        texts=timed,
        batches=[[texts[index] for index in batch] for batch in drawn],
        warmup=how.warmup_calls,
        seed=how.seed,
    )


def _together(
    folders: Mapping[str, Path],
    found: Mapping[str, Mapping[str, Any]],
    starts: Mapping[str, Any],
    right: Sequence[str | None],
) -> list[Measured]:
    labels = found["1"]["labels"]
    return [
        Measured(
            name=name,
            accuracy=accuracy(labels[name], right) if name in labels else None,
            same_labels=(
                accuracy(labels[name], labels[ENTRIES[name].alike])
                if ENTRIES[name].alike in labels
                else None
            ),
            size_bytes=folder_bytes(folder),
            cold_start=starts[name],
            times={
                threads: {calls: of[calls][name] for calls in ("one", "batch")}
                for threads, of in found.items()
            },
        )
        for name, folder in folders.items()
    ]


def _write(
    output: Path,
    measured: Sequence[Measured],
    skipped: Mapping[str, str],
    facts: Mapping[str, Any],
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    content = {**facts, "entries": [asdict(one) for one in measured], "skipped": skipped}
    (output / FIGURES).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    rows, machine = facts["rows"], facts["machine"]
    sentence = (
        f"{rows['train']:,} training rows, {rows['test']:,} test rows; {rows['timed']} texts one "
        f"by one, {rows['batches']} batches of {rows['batch_size']}; {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['runtime']}."
    )
    (output / TABLE).write_text(markdown(measured, skipped, sentence), "utf-8")
    draw_accuracy_latency(output / ACCURACY_LATENCY, measured)
    draw_percentiles(output / PERCENTILES, measured)


def _show(measured: Sequence[Measured], reporter: Reporter) -> None:
    reporter.table(
        "peers, one text on one thread",
        ("model", "accuracy", "p50 µs", "teacher's time / its", "MB"),
        [
            (
                one.title,
                "" if one.accuracy is None else f"{one.accuracy:.1%}",
                f"{one.p50_us():,.0f}",
                f"{one.times['1']['one']['faster_than_teacher'][0]:.3g}",
                f"{one.size_bytes / 1e6:.1f}",
            )
            for one in measured
        ],
    )


def _warn_if_busy(reporter: Reporter) -> None:
    busy = psutil.cpu_percent(interval=1.0) / 100
    if busy > _BUSY_SHARE:
        reporter.warning(f"other processes keep {busy:.0%} of the cores busy: times are too long")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
