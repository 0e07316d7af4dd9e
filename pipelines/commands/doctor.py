"""decant doctor: does a run find everything that it needs?"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT
from decant.tracking.mlflow_store import tracking_is_on
from pipelines.kubeflow.cluster_options import ServerOptions, server_options
from pipelines.kubeflow.package import Package, PackageOptions, make_package, package_options
from pipelines.preflight.check_result import Result, guarded
from pipelines.preflight.own_process import own_process
from pipelines.preflight.tracking_check import NAME as MLFLOW
from pipelines.preflight.tracking_check import check_tracking, write_and_delete

STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}


@click.command("doctor")
@server_options
@package_options
def doctor_command(server: ServerOptions, package: PackageOptions) -> None:
    """Check parameters, package, image, data, server, credentials, MLflow, GPU, DVC remote, disks.

    Without --host the checks of the cluster are left out. The exit code is 1 when a check failed.
    """
    results = list(all_checks(server, package))
    _show(results)
    if any(result.status == "failed" for result in results):
        sys.exit(1)


def all_checks(server: ServerOptions, options: PackageOptions) -> Iterator[Result]:
    """The results one by one; a failed check does not stop the others."""
    with ThreadPoolExecutor(1) as pool, _mlflow_check() as write:
        with tempfile.TemporaryDirectory() as folder:
            package, results = _compiled(server, options, Path(folder))
        tracking = partial(
            check_tracking,
            options.mlflow_uri,
            for_cluster=server.is_given,
            documents=package.documents if package else None,
            write=write,
        )
        tracked = pool.submit(guarded, MLFLOW, tracking)
        yield from results
        if package:
            yield from _package_checks(package)
        yield from _server_checks(server)
        surroundings = list(_surroundings())  # while MLflow is at work
        yield tracked.result()
        yield from surroundings


def _mlflow_check() -> AbstractContextManager[Callable[..., Result]]:
    """In a process of its own, which loads MLflow while the package is compiled."""
    if tracking_is_on():
        return own_process(write_and_delete.__module__, write_and_delete.__name__)
    return nullcontext(write_and_delete)


def _compiled(
    server: ServerOptions, options: PackageOptions, folder: Path
) -> tuple[Package | None, list[Result]]:
    from pipelines.preflight.package_check import check_package, check_parameters

    parameters = guarded("parameters", partial(check_parameters, options))
    if parameters.status == "failed":
        skipped = Result(name="package", status="skipped", detail="not compiled: see parameters")
        return None, [parameters, skipped]
    made: list[Package] = []

    def compiled() -> Result:
        try:
            made.append(make_package(options, folder))
        except UserError as error:
            if error.code != "source-local" or server.is_given or options.profile:
                raise
            return Result(name="package", status="skipped", detail=error.problem, hint=error.hint)
        return check_package(made[0])

    result = guarded("package", compiled)
    return (made[0] if made else None), [parameters, result]


def _package_checks(package: Package) -> Iterator[Result]:
    from pipelines.preflight.data_check import check_delivery, check_on_claim
    from pipelines.preflight.image_check import check_image_is_pinned, check_image_is_there
    from pipelines.preflight.package_check import (
        check_retries,
        check_version_is_clean,
        images_of,
    )

    yield guarded("commit", partial(check_version_is_clean, package))
    for image in images_of(package):
        yield guarded("image pinned", partial(check_image_is_pinned, image))
        yield guarded("image there", partial(check_image_is_there, image))
    for parameter, delivery in package.placed.deliveries.items():
        yield guarded("data", partial(check_delivery, parameter, delivery))
    for parameter, place in package.placed.on_claims.items():
        yield check_on_claim(parameter, place)
    if retries := check_retries(package):
        yield retries


def _server_checks(server: ServerOptions) -> Iterator[Result]:
    from pipelines.preflight.server_check import (
        check_credentials,
        check_version,
        connect_from_here,
    )

    if not server.is_given:
        yield Result(name="server", status="skipped", detail="no --host")
        return
    opened = []

    def connected() -> Result:
        connection = connect_from_here(server)
        opened.append(connection)
        kind = "shared by namespaces" if connection.namespace else "for one user"
        return Result(name="server", status="ok", detail=f"{connection.host}, {kind}")

    yield guarded("server", connected)
    for connection in opened:
        yield guarded("server version", partial(check_version, connection))
        yield guarded("credentials", partial(check_credentials, connection))


def _surroundings() -> Iterator[Result]:
    from pipelines.preflight.gpu_check import check_gpu
    from pipelines.preflight.storage_check import check_disks, check_dvc_remote

    yield guarded("GPU", check_gpu)
    yield guarded("DVC remote", partial(check_dvc_remote, PROJECT))
    yield from check_disks(PROJECT)


def _show(results: list[Result]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        for result in results:
            click.echo("\t".join((result.name, result.status, result.detail, result.hint)))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("check", "result", "detail", "hint"):
        table.add_column(column, overflow="fold")
    for result in results:
        table.add_row(
            result.name,
            Text(result.status, style=STYLES[result.status]),
            Text(result.detail),
            Text(result.hint),
        )
    console.print(table)
