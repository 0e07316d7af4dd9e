"""decant list: runs and schedules on a cluster."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

import click
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from decant.runtime.errors import UserError
from pipelines.commands.submit import EXPERIMENT
from pipelines.kubeflow.api_errors import one_line
from pipelines.kubeflow.cluster_options import ServerOptions, server_options
from pipelines.kubeflow.connection import Connection, every
from pipelines.kubeflow.display import STYLES, clock_time
from pipelines.kubeflow.schedules import schedule_state, when
from pipelines.kubeflow.states import read_run
from pipelines.kubeflow.upload import find_experiment

Rows = list[tuple[str, ...]]


@click.command("list")
@server_options
@click.option("--runs", "only_runs", is_flag=True, help="Runs alone.")
@click.option("--schedules", "only_schedules", is_flag=True, help="Schedules alone.")
@click.option("--experiment", default=EXPERIMENT, show_default=True, help="Of this experiment.")
@click.option("--all", "all_experiments", is_flag=True, help="Of every experiment.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="At most this many, the newest first.",
)
def list_command(
    server: ServerOptions,
    only_runs: bool,
    only_schedules: bool,
    experiment: str,
    all_experiments: bool,
    limit: int,
) -> None:
    """Show runs and schedules, the newest first.

    Tables on a terminal, else lines separated by tabs.
    """
    connection = server.connect()
    experiment_id = None if all_experiments else find_experiment(connection, experiment)
    if not all_experiments and not experiment_id:
        raise UserError(
            f"there is no experiment '{experiment}'",
            code="experiment-unknown",
            hint="--all shows every experiment's",
        )
    if only_runs or not only_schedules:
        columns: tuple[str, ...] = ("run", "state", "created", "took", "name")
        _show(columns, _runs(connection, experiment_id, limit), connection.run_link)
    if only_schedules or not only_runs:
        columns = ("schedule", "state", "when", "name")
        _show(columns, _schedules(connection, experiment_id, limit), connection.schedule_link)


def _runs(connection: Connection, experiment_id: str | None, limit: int) -> Rows:
    now = datetime.now(UTC)
    found = every(
        connection.runs.run_service_list_runs,
        "runs",
        sort_by="created_at desc",
        **_where(connection, experiment_id),
    )
    rows: Rows = []
    for run in map(read_run, islice(found, limit)):
        end = (run.finished if run.is_final else now) or now
        rows.append(
            (
                run.run_id,
                run.state,
                f"{run.created.astimezone():%Y-%m-%d %H:%M}" if run.created else "",
                clock_time((end - run.created).total_seconds()) if run.created else "",
                run.name,
            )
        )
    return rows


def _schedules(connection: Connection, experiment_id: str | None, limit: int) -> Rows:
    found = every(
        connection.schedules.recurring_run_service_list_recurring_runs,
        "recurring_runs",
        sort_by="created_at desc",
        **_where(connection, experiment_id),
    )
    return [
        (
            str(one.recurring_run_id),
            schedule_state(one),
            when(one),
            one_line(one.display_name or ""),
        )
        for one in islice(found, limit)
    ]


def _where(connection: Connection, experiment_id: str | None) -> dict[str, str]:
    return (
        {"experiment_id": experiment_id} if experiment_id else {"namespace": connection.namespace}
    )


def _show(columns: tuple[str, ...], rows: Rows, page_of: Callable[[str], str]) -> None:
    """A table whose first column links to each page, or lines that end with its address."""
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in rows:
            cells = (*row, page_of(row[0]))
            click.echo("\t".join(cell.replace("\t", " ") for cell in cells))
        return
    if not rows:
        console.print(f"no {columns[0]}s")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in (columns[0], "state"))
    for first, *others in rows:
        link = Style(link=page_of(first))
        texts = [Text(cell, style=STYLES.get(cell, "")) for cell in others]
        table.add_row(Text(first, style=link), *texts)
    console.print(table)
    console.print(f"pages: {page_of('ID')}", soft_wrap=True)
