"""python -m pipelines load-test: throughput and latency of a scoring server, within bounds."""

import dataclasses
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from components.evaluate.machine import machine_facts
from components.shared.errors import UserError
from pipelines.load_testing.clients import Level
from pipelines.load_testing.figures import figures
from pipelines.load_testing.levels import Plan, run_levels
from pipelines.load_testing.report import REPORT, write_report
from pipelines.load_testing.server import loadable, serving
from pipelines.load_testing.startup import measure_startup
from pipelines.load_testing.target import find_target, require_server
from pipelines.predict import COLUMN, read_file
from pipelines.registry.terminal import open_console

TEXTS = Path("artifacts/corpus/test.parquet")
SHOWN = ("p50", "p95", "p99", "max")


class Counts(click.ParamType[tuple[int, ...]]):
    """Numbers of clients, such as 1,2,4."""

    name = "N[,N...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not all(part.strip().isdecimal() and 1 <= int(part) <= 256 for part in parts):
            self.fail(f"{value!r} is not one or several numbers from 1 to 256, like 1,2,4")
        return tuple(map(int, parts))


@click.command("load-test")
@click.option("--url", help="Of a server that runs, such as http://127.0.0.1:8080.")
@click.option("--model", help="Or start one: models:/NAME@ALIAS, or an exported folder.")
@click.option("--clients", type=Counts(), default="1,2,4", show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=10, show_default=True)
@click.option(
    "--requests",
    type=click.IntRange(1, 10_000_000),
    default=100_000,
    show_default=True,
    help="At most, per number of clients.",
)
@click.option(
    "--warmup",
    "warmup_seconds",
    type=click.FloatRange(0, 60),
    default=1,
    show_default=True,
    help="Seconds before each level that do not count.",
)
@click.option("--batch", type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option(
    "--texts",
    type=click.Path(path_type=Path),
    default=TEXTS,
    show_default=True,
    help="A table or text file.",
)
@click.option("--column", default=COLUMN, show_default=True, help="Of TEXTS.")
@click.option("--out", type=click.Path(path_type=Path), default="load-test", show_default=True)
@click.option("--allow-remote", is_flag=True, help="Burden a server on another machine.")
def load_test_command(
    url: str | None,
    model: str | None,
    texts: Path,
    column: str,
    out: Path,
    allow_remote: bool,
    **plan: Any,
) -> None:
    """Ask a scoring server as fast as it answers, with one or several numbers of clients.

    Prints a table, and writes a report, its picture and its figures to a folder. Exits with code 2
    when a request failed.
    """
    if (url is None) == (model is None):
        raise UserError("give one of --url and --model", remedy="see load-test --help")
    target = find_target(url, allow_remote=allow_remote) if url else None
    rows, asked = read_file(texts, column), Plan(**plan)
    server, startup = None, None
    with ExitStack() as stack:
        if model:
            model_uri = stack.enter_context(loadable(model))
            startup = measure_startup(model_uri)
            server = stack.enter_context(serving(model_uri))
            target = find_target(server.url, allow_remote=False)
        assert target
        require_server(target)
        levels = run_levels(target.url, rows, asked, server=server, on_level=_say)
    found = [figures(level) for level in levels]
    content = {
        "target": {**dataclasses.asdict(target), "model": model},
        "settings": {**dataclasses.asdict(asked), "texts_file": str(texts), "texts": len(rows)},
        "levels": found,
        "startup": dataclasses.asdict(startup) if startup else None,
        "machine": {**machine_facts(1), "mlflow": version("mlflow")},
        "when": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }
    write_report(out, content, levels)
    _show(found, out)
    _require_no_errors(levels)


def _say(clients: int) -> None:
    click.echo(f"asking with {clients} client{'s' if clients > 1 else ''}", err=True)


def _show(levels: Sequence[Mapping[str, Any]], out: Path) -> None:
    table = Table(box=None)
    for column in ("clients", "requests", "errors", "texts/s", *(f"{one}, ms" for one in SHOWN)):
        table.add_column(column, justify="right")
    for one in levels:
        latency = one["latency_ms"]
        table.add_row(
            f"{one['clients']}",
            f"{one['requests']:,}",
            f"{one['requests'] - one['answers']:,}",
            f"{one['texts_per_second']:,.1f}",
            *(f"{latency[name]:.2f}" if latency else "" for name in SHOWN),
        )
    console = open_console()
    console.print(table)
    console.print(f"report: {out / REPORT}")


def _require_no_errors(levels: Sequence[Level]) -> None:
    errors = sum((level.errors for level in levels), Counter[str]())
    if errors:
        kinds = ", ".join(f"{kind} ({count:,})" for kind, count in errors.most_common())
        asked = sum(level.requests for level in levels)
        raise UserError(f"{errors.total():,} of {asked:,} requests failed: {kinds}")
