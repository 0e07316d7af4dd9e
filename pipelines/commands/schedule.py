"""decant schedule: run the pipeline on a Kubeflow cluster again and again."""

import tempfile
from pathlib import Path

import click

from decant.runtime.errors import UserError
from pipelines.commands.submit import EXPERIMENT, upload_shown
from pipelines.kubeflow.api_errors import NotFound
from pipelines.kubeflow.cluster_options import ServerOptions, server_options
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.package import Package, PackageOptions, make_package, package_options
from pipelines.kubeflow.schedules import find_schedules
from pipelines.kubeflow.triggers import Trigger, read_trigger
from pipelines.kubeflow.upload import Uploaded, ensure_experiment


@click.command("schedule")
@server_options
@package_options
@click.option("--name", required=True, help="The schedule's name.")
@click.option(
    "--cron", help="Such as '0 3 * * 1-5', in the server's time zone, which is often UTC."
)
@click.option("--every", help="An interval, such as 30m, 6h, 1d.")
@click.option("--start", help="Not before this time, such as 2027-01-31T03:00+01:00.")
@click.option("--end", help="Not after this time.")
@click.option("--no-catch-up", is_flag=True, help="Do not make up for missed starts.")
@click.option(
    "--max-concurrency",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="Largest number of runs at the same time.",
)
@click.option("--experiment", default=EXPERIMENT, show_default=True, help="Made when missing.")
@click.option("--no-cache", is_flag=True, help="Run every task, also those whose result is cached.")
@click.option("--replace", is_flag=True, help="Replace the schedule of this name.")
def schedule_command(
    server: ServerOptions,
    package: PackageOptions,
    name: str,
    cron: str | None,
    every: str | None,
    start: str | None,
    end: str | None,
    no_catch_up: bool,
    max_concurrency: int,
    experiment: str,
    replace: bool,
) -> None:
    """Start runs at set times, with the present code and parameters.

    A schedule keeps the version that it was created with: run this again with --replace after a
    change.
    """
    trigger = read_trigger(cron=cron, every=every, start=start, end=end)
    if trigger.cron and trigger.cron != " ".join((cron or "").split()):
        click.echo(f"cron with seconds, as the server reads it: {trigger.cron}")
    with tempfile.TemporaryDirectory() as folder:
        made = make_package(package, Path(folder))
        connection = server.connect()
        old = [found.recurring_run_id for found in find_schedules(connection, name)]
        if old and not replace:
            raise UserError(
                f"a schedule '{name}' exists: {', '.join(old)}",
                code="schedule-exists",
                hint="give --replace, or another --name",
            )
        uploaded = upload_shown(connection, made)
    schedule_id = create_schedule(
        connection,
        made,
        uploaded,
        trigger,
        experiment_id=ensure_experiment(connection, experiment),
        name=name,
        catch_up=not no_catch_up,
        max_concurrency=max_concurrency,
    )
    for other in old:
        remove_schedule(connection, other)
    done = "replaced" if old else "made"
    click.echo(f"schedule '{name}' {done}: {schedule_id}\n{connection.schedule_link(schedule_id)}")


def create_schedule(
    connection: Connection,
    package: Package,
    uploaded: Uploaded,
    trigger: Trigger,
    *,
    experiment_id: str,
    name: str,
    catch_up: bool,
    max_concurrency: int,
) -> str:
    """The id of the new schedule. Raises ClusterError."""
    from kfp_server_api import (
        RecurringRunMode,
        V2beta1CronSchedule,
        V2beta1PeriodicSchedule,
        V2beta1PipelineVersionReference,
        V2beta1RecurringRun,
        V2beta1RuntimeConfig,
        V2beta1Trigger,
    )

    times = {"start_time": trigger.start, "end_time": trigger.end}
    if trigger.cron:
        when = V2beta1Trigger(cron_schedule=V2beta1CronSchedule(cron=trigger.cron, **times))
    else:
        interval = V2beta1PeriodicSchedule(
            interval_second=str(trigger.interval_seconds),
            **times,
        )
        when = V2beta1Trigger(periodic_schedule=interval)
    schedule = V2beta1RecurringRun(
        display_name=name,
        experiment_id=experiment_id,
        namespace=connection.namespace or None,
        pipeline_version_reference=V2beta1PipelineVersionReference(
            pipeline_id=uploaded.pipeline_id, pipeline_version_id=uploaded.version_id
        ),
        runtime_config=V2beta1RuntimeConfig(parameters=dict(package.arguments)),
        service_account=package.service_account,
        trigger=when,
        mode=RecurringRunMode.ENABLE,
        no_catchup=not catch_up,
        max_concurrency=str(max_concurrency),
    )
    made = connection.schedules.recurring_run_service_create_recurring_run(schedule)
    return str(made.recurring_run_id)


def remove_schedule(connection: Connection, schedule_id: str) -> None:
    """Delete a schedule; its started runs continue. A missing one is not an error."""
    try:
        connection.schedules.recurring_run_service_delete_recurring_run(
            schedule_id,
            propagation_policy="ORPHAN",  # else its runs would be deleted too
        )
    except NotFound:
        return
