"""decant submit: run the pipeline on a Kubeflow cluster."""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from decant.runtime.errors import UserError
from pipelines.commands.follow import wait_for_run
from pipelines.kubeflow.api_errors import Unavailable
from pipelines.kubeflow.cluster_options import ServerOptions, server_options
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.package import (
    Package,
    PackageOptions,
    make_package,
    names_tracking,
    package_options,
)
from pipelines.kubeflow.run_progress import EXIT_CODES
from pipelines.kubeflow.upload import Uploaded, ensure_experiment, upload_package

EXPERIMENT = "decant"


@click.command("submit", epilog=EXIT_CODES)
@server_options
@package_options
@click.option("--experiment", default=EXPERIMENT, show_default=True, help="Made when missing.")
@click.option("--run-name", help="The version's name and the time by default.")
@click.option("--no-cache", is_flag=True, help="Run every task, also those whose result is cached.")
@click.option(
    "--wait", is_flag=True, help="Watch the run until it ends; the exit code is its outcome."
)
@click.option(
    "--timeout-seconds",
    type=click.IntRange(min=1),
    help="With --wait: stop waiting after this time.",
)
def submit_command(
    server: ServerOptions,
    package: PackageOptions,
    experiment: str,
    run_name: str | None,
    wait: bool,
    timeout_seconds: int | None,
) -> None:
    """Compile, upload what the server does not have yet, and start a run.

    The same commit and parameters give the same pipeline version, which is uploaded once.
    """
    if timeout_seconds and not wait:
        raise UserError(
            "--timeout-seconds needs --wait",
            code="option-conflict",
            hint="add --wait",
        )
    with tempfile.TemporaryDirectory() as folder:
        made = make_package(package, Path(folder))
        connection = server.connect()
        uploaded = upload_shown(connection, made)
    run_id = start_run(
        connection,
        made,
        uploaded,
        experiment_id=ensure_experiment(connection, experiment),
        name=run_name or f"{made.version} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
    )
    click.echo(f"run {run_id}\n{connection.run_link(run_id)}")
    if wait:
        sys.exit(wait_for_run(connection, run_id, timeout_seconds))


def upload_shown(connection: Connection, package: Package) -> Uploaded:
    """Send local data, upload, and report the version and a missing MLflow server."""
    from pipelines.staging.sending import send_all

    if not names_tracking(package.documents):
        click.echo(
            "warning: the package sets no MLflow server; unless the cluster sets "
            "MLFLOW_TRACKING_URI, the steps will refuse to run: give --mlflow-uri",
            err=True,
        )
    send_all(package.placed)
    uploaded = upload_package(connection, package)
    done = "uploaded" if uploaded.is_new else "is on the server already"
    click.echo(f"{package.pipeline}: version {package.version} {done}")
    return uploaded


def start_run(
    connection: Connection, package: Package, uploaded: Uploaded, *, experiment_id: str, name: str
) -> str:
    """The id of the new run. Raises ClusterError."""
    from kfp_server_api import V2beta1PipelineVersionReference, V2beta1Run, V2beta1RuntimeConfig

    run = V2beta1Run(
        display_name=name,
        experiment_id=experiment_id,
        pipeline_version_reference=V2beta1PipelineVersionReference(
            pipeline_id=uploaded.pipeline_id, pipeline_version_id=uploaded.version_id
        ),
        runtime_config=V2beta1RuntimeConfig(parameters=dict(package.arguments)),
        service_account=package.service_account,
    )
    try:
        return str(connection.runs.run_service_create_run(run).run_id)
    except Unavailable as error:
        raise Unavailable(
            f"{error.problem}; the run may have started nevertheless",
            code="cluster-unavailable",
            hint=f"look for '{name}' in `decant list --runs` before the next attempt",
        ) from None
