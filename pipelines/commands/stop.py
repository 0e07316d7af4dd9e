"""decant stop: end a run, or switch a schedule off."""

import click

from decant.runtime.errors import UserError
from pipelines.kubeflow.api_errors import NotFound
from pipelines.kubeflow.cluster_options import ServerOptions, server_options
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.schedules import find_schedules
from pipelines.kubeflow.states import read_run


@click.command("stop")
@click.argument("run_id", required=False)
@server_options
@click.option("--schedule", help="Start no more runs of the schedule of this name.")
def stop_command(run_id: str | None, server: ServerOptions, schedule: str | None) -> None:
    """End the run RUN_ID, or switch off a schedule (its active runs continue)."""
    if bool(run_id) == bool(schedule):
        raise UserError(
            "nothing to stop", code="option-missing", hint="give either RUN_ID or --schedule NAME"
        )
    connection = server.connect()
    if run_id:
        stop_run(connection, run_id)
    elif schedule:
        stop_schedule(connection, schedule)


def stop_run(connection: Connection, run_id: str) -> None:
    """Raises UserError for an unknown run; one that has ended is not an error."""
    try:
        run = read_run(connection.runs.run_service_get_run(run_id))
    except NotFound:
        raise UserError(
            f"there is no run {run_id}", code="run-unknown", hint="decant list --runs"
        ) from None
    if run.is_final or run.state == "CANCELING":
        click.echo(f"run {run_id} is {run.state} already")
        return
    connection.runs.run_service_terminate_run(run_id)
    click.echo(f"run {run_id} is being canceled\n{connection.run_link(run_id)}")


def stop_schedule(connection: Connection, name: str) -> None:
    """Raises UserError for an unknown schedule."""
    found = find_schedules(connection, name)
    if not found:
        raise UserError(
            f"there is no schedule '{name}'",
            code="schedule-unknown",
            hint="decant list --schedules",
        )
    for schedule in found:
        connection.schedules.recurring_run_service_disable_recurring_run(schedule.recurring_run_id)
        click.echo(
            f"schedule '{name}' is off: {schedule.recurring_run_id}\n"
            f"{connection.schedule_link(schedule.recurring_run_id)}"
        )
