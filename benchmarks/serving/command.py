"""The command: start each server, ask it from clients, show one table and write one file."""

import json
import os
import platform
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from benchmarks.serving.clients import Load, load
from benchmarks.serving.servers import (
    PROGRAM,
    TABLE,
    TENSOR,
    WIDE_TABLE,
    Form,
    image_program,
    mlflow_server,
    serving,
)
from components.register.registry import save_model
from decant.runtime.params_file import read_params_file
from decant.runtime.reporter import Reporter
from decant.sources import fetch

_TEXTS = 1000
_WARM_UP_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the table; milliseconds from a request's first byte to its answer's last."""

    server: str
    request: str
    clients: int
    texts_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


@click.command("serving")
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("artifacts/onnx/student"),
    show_default=True,
    help="An exported folder.",
)
@click.option(
    "--clients",
    "numbers",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 8),
    show_default=True,
    help="At once; repeatable.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Of each measurement, after one second that does not count.",
)
@click.option(
    "--before",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="docker/serve.py of another version, measured too.",
)
@click.option("--without-mlflow", is_flag=True, help="Do not measure `mlflow models serve`.")
@click.option(
    "--params",
    type=click.Path(path_type=Path),
    default=Path("params.yaml"),
    show_default=True,
    help="Its ingest.source (a CSV file) has the texts.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("serving.json"),
    show_default=True,
    help="File for the figures.",
)
def serving_command(
    model: Path,
    numbers: tuple[int, ...],
    seconds: float,
    before: Path | None,
    without_mlflow: bool,
    params: Path,
    output: Path,
) -> None:
    """Measure what answers a model's texts over HTTP, one text per request, on loopback.

    Clients keep their connections open and wait for each answer. They are one process beside the
    server, and share the machine's cores with it.
    """
    reporter = Reporter(step="serving")
    texts = _texts(read_params_file(params)["ingest"])
    here = image_program(PROGRAM)
    jobs: list[tuple[str, Any, dict[str, Form]]] = []
    if not without_mlflow:
        jobs.append(("mlflow models serve", mlflow_server, {"/invocations": TABLE}))
    if before:
        jobs.append(("serve image, before", image_program(before), {"/invocations": TABLE}))
    forms = {"/invocations, another column": WIDE_TABLE, "/invocations": TABLE, "/v2": TENSOR}
    jobs.append(("serve image", here, forms))
    entries: list[Entry] = []
    with tempfile.TemporaryDirectory(prefix="decant-serving-") as scratch:
        folder = Path(scratch) / "model"
        _save(model, folder)
        for server, start, asked in jobs:
            with serving(start, folder, TABLE) as port:
                for name, form in asked.items():
                    requests = [form.request(text) for text in texts]
                    for clients in numbers:
                        with reporter.activity(f"{server}, {name}, {clients} clients"):
                            load(port, requests, clients=clients, seconds=_WARM_UP_SECONDS)
                            found = load(port, requests, clients=clients, seconds=seconds)
                        entries.append(_entry(server, name, clients, found))
                        output.write_text(_as_json(entries, seconds), "utf-8")
    click.echo(_markdown(entries))
    reporter.message(f"figures: {output}")


def _save(model: Path, folder: Path) -> None:
    """As a registry keeps it, without MLflow's words about it."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with warnings.catch_warnings(action="ignore"):
        save_model(model, folder)


def _texts(ingest: Any) -> list[str]:
    column = pd.read_csv(fetch(ingest["source"]), dtype=str)[ingest["text_column"]].dropna()
    return list(column.head(_TEXTS))


def _entry(server: str, request: str, clients: int, found: Load) -> Entry:
    p50, p95, p99 = np.percentile(found.latencies, [50, 95, 99]) * 1000
    return Entry(
        server=server,
        request=request,
        clients=clients,
        texts_per_second=len(found.latencies) / found.seconds,
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
    )


def _markdown(entries: Sequence[Entry]) -> str:
    lines = [
        "| server | request | clients | texts/s | p50 ms | p95 ms | p99 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in entries:
        tails = " | ".join(f"{value:.2f}" for value in (one.p50_ms, one.p95_ms, one.p99_ms))
        lines.append(
            f"| {one.server} | {one.request} | {one.clients} | {one.texts_per_second:,.0f} "
            f"| {tails} |"
        )
    return "\n".join(lines)


def _as_json(entries: Sequence[Entry], seconds: float) -> str:
    content = {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "seconds": seconds,
        "entries": [asdict(entry) for entry in entries],
    }
    return json.dumps(content, indent=2)
