"""decant sync: send spooled runs to MLflow."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from decant.runtime.errors import UserError
from decant.runtime.secrets import shown_uri, without_secrets
from decant.tracking.delivery import send
from decant.tracking.lasting_causes import lasting_cause
from decant.tracking.lost_runs import all_experiments, close_lost
from decant.tracking.mlflow_store import first_line, open_client, store_exists, tracking_uri
from decant.tracking.record import RunRecord
from decant.tracking.spool import Spool, Spooled, spool_uri
from pipelines.console import open_console

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

NOT_ALL_SENT = 1
_COLUMNS = ("execution", "step", "began (UTC)", "status", "points", "result")

Row = tuple[str, ...]


@click.command("sync")
@click.argument("spool", required=False)
@click.option("--any-store", is_flag=True, help="Also runs for another tracking URI.")
@click.option(
    "--own-parent",
    is_flag=True,
    help="Below a run of their execution, not below that of MLFLOW_RUN_ID, which may be gone.",
)
def sync_command(spool: str | None, any_store: bool, own_parent: bool) -> None:
    """Send spooled runs to MLflow, with their times, statuses, artifacts and parents.

    SPOOL is a folder, s3://... or gs://..., such as the artifacts of a run on a cluster; else
    DECANT_SPOOL, else mlflow-spool in the project. May be repeated, also after it was interrupted:
    nothing is sent twice. Exit code 0: nothing is left to send, 1: something could not be sent,
    2: a mistake, or MLflow does not answer.
    """
    source, console = Spool(spool or spool_uri()), open_console()
    if spool and source.is_local and not Path(source.root).is_dir():
        raise UserError(
            f"there is no folder {source}",
            code="file-missing",
            hint="give a folder with spooled runs",
        )
    rows: list[Row] = []
    with source.locked() as is_free:
        if not is_free:
            raise UserError(
                f"another process is sending runs of {source}",
                code="folder-busy",
                hint="wait, then run this again",
            )
        runs = [_with_own_parent(run) for run in _read(source)] if own_parent else _read(source)
        try:
            is_complete = _send_all(source, runs, any_store, rows)
        finally:
            _show(rows, console)
    if not runs:
        console.print(f"nothing is spooled in {source}")
    _close_lost(console)
    if not is_complete:
        sys.exit(NOT_ALL_SENT)


def _send_all(source: Spool, runs: list[Spooled], any_store: bool, rows: list[Row]) -> bool:
    """Send what can be sent; returns whether that was all. Adds a row for each run.

    Raises UserError when MLflow does not answer.
    """
    here = shown_uri(tracking_uri())
    client: MlflowClient | None = None
    is_complete = True
    for run in runs:
        record = run.record
        if record is None:
            is_complete = False
            rows.append((run.folder.rpartition("/")[2], "", "", "", "", f"kept: {run.problem}"))
        elif record.is_running:
            rows.append(_row(record, f"kept: still running on {record.process.host}"))
        elif record.store != here and not any_store:
            is_complete = False
            rows.append(_row(record, f"kept: for {record.store}; --any-store sends it"))
        else:
            client = client or _connect(here)
            try:
                place = send(client, source, run)
                rows.append(_row(record, f"sent: run {place.run_id}"))
            except Exception as error:
                is_complete = False
                rows.append(_row(record, f"kept: {_reason(record, error)}"))
                client = _connect(here)  # it may be deleted
    return is_complete


def _with_own_parent(run: Spooled) -> Spooled:
    if run.record is None:
        return run
    parent = replace(run.record.parent, given="", task_run="")
    return replace(run, record=replace(run.record, parent=parent))


def _reason(record: RunRecord, error: Exception) -> str:
    """Why a run stays in the spool, and what helps where nothing will change by itself."""
    problem, parent = first_line(error), record.parent.given
    if parent and parent in problem:
        return f"{problem}; --own-parent sends it without the run of MLFLOW_RUN_ID"
    cause = lasting_cause(error)
    return f"{cause.problem}; {cause.hint}" if cause else problem


def _close_lost(console: Console) -> None:
    """Runs that processes of this machine left open when they were killed."""
    try:
        if not store_exists():
            return
        client = open_client()
        lost = close_lost(client, all_experiments(client))
    except Exception as error:
        problem = first_line(error)
        console.print(Text(f"runs of killed processes were not closed: {problem}"))
        return
    for run in lost:
        console.print(Text(f"closed as killed: run {run.info.run_id} of {run.info.run_name}"))


def _connect(here: str) -> "MlflowClient":
    try:
        return open_client()
    except UserError:
        raise
    except Exception as error:
        raise lasting_cause(error) or UserError(
            f"MLflow at {here}: {without_secrets(str(error))}",
            code="tracking-failed",
            hint="check MLFLOW_TRACKING_URI and the server, then run this again; nothing is lost",
        ) from None


def _read(source: Spool) -> list[Spooled]:
    try:
        return source.runs()
    except Exception as error:  # each kind of bucket has its own
        raise UserError(
            f"the spool {source} cannot be read: {without_secrets(str(error))}",
            code="spool-unusable",
            hint="check its address, and the credentials in the environment",
        ) from None


def _row(record: RunRecord, result: str) -> Row:
    began = datetime.fromtimestamp(record.started_ms / 1000, UTC)
    return (
        record.parent.execution[:12],
        record.step,
        began.isoformat(" ", "seconds").removesuffix("+00:00"),
        record.status,
        str(len(record.points) + len(record.figures)),
        result,
    )


def _show(rows: list[Row], console: Console) -> None:
    """A table on a terminal, else lines separated by tabs."""
    if rows and not console.is_terminal:
        for row in (_COLUMNS, *rows):
            click.echo("\t".join(row))
    elif rows:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in _COLUMNS:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
