"""What a run needs on the server, created where missing: pipeline, version, experiment.

Names are unique there, so a second attempt, or another client at the same time, finds the objects
of the first one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from pipelines.kubeflow.api_errors import AlreadyExists, ClusterError, NotFound, Unavailable
from pipelines.kubeflow.connection import Connection, every, named
from pipelines.kubeflow.package import Package

RETRY_SECONDS = (1.0, 4.0)
DESCRIPTION = "Pours what a BERT encoder knows into a small network."


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """Ids of a pipeline and of its version; whether this call made the version."""

    pipeline_id: str
    version_id: str
    is_new: bool


def upload_package(connection: Connection, package: Package) -> Uploaded:
    """Raises ClusterError."""
    pipeline_id, _ = _find_or_create(
        lambda: _find_pipeline(connection, package.pipeline),
        lambda: _create_pipeline(connection, package.pipeline),
    )
    version_id, is_new = _find_or_create(
        lambda: _find_version(connection, pipeline_id, package.version),
        lambda: _upload_version(connection, pipeline_id, package),
    )
    return Uploaded(pipeline_id=pipeline_id, version_id=version_id, is_new=is_new)


def ensure_experiment(connection: Connection, name: str) -> str:
    """The experiment's id. Raises ClusterError."""
    experiment_id, _ = _find_or_create(
        lambda: find_experiment(connection, name), lambda: _create_experiment(connection, name)
    )
    return experiment_id


def find_experiment(connection: Connection, name: str) -> str | None:
    found = every(
        connection.experiments.experiment_service_list_experiments,
        "experiments",
        filter=named(name),
        namespace=connection.namespace,
    )
    return next((str(one.experiment_id) for one in found if one.display_name == name), None)


def _find_or_create(find: Callable[[], str | None], create: Callable[[], str]) -> tuple[str, bool]:
    """The id of the existing or new object, and whether it was created here."""
    for delay in (*RETRY_SECONDS, None):
        if found := find():
            return found, False
        try:
            return create(), True
        except AlreadyExists:  # another client was faster, or an answer was lost
            if delay is None:
                raise
        except Unavailable:
            if delay is None:
                raise
            time.sleep(delay)
    raise AssertionError("the last round returns or raises")


def _find_pipeline(connection: Connection, name: str) -> str | None:
    try:
        found = connection.pipelines.pipeline_service_get_pipeline_by_name(
            name, namespace=connection.namespace
        )
    except NotFound:
        return None
    return str(found.pipeline_id)


def _create_pipeline(connection: Connection, name: str) -> str:
    from kfp_server_api import V2beta1Pipeline

    pipeline = V2beta1Pipeline(
        display_name=name, description=DESCRIPTION, namespace=connection.namespace or None
    )
    return str(connection.pipelines.pipeline_service_create_pipeline(pipeline).pipeline_id)


def _find_version(connection: Connection, pipeline_id: str, name: str) -> str | None:
    found = every(
        connection.pipelines.pipeline_service_list_pipeline_versions,
        "pipeline_versions",
        pipeline_id=pipeline_id,
        filter=named(name),
    )
    return next((str(one.pipeline_version_id) for one in found if one.display_name == name), None)


def _upload_version(connection: Connection, pipeline_id: str, package: Package) -> str:
    version = connection.uploads.upload_pipeline_version(
        str(package.file), name=package.version, pipelineid=pipeline_id
    )
    if not version.pipeline_version_id:
        raise ClusterError(
            f"the server accepted version {package.version}, but returned no id",
            code="cluster-refused",
        )
    return str(version.pipeline_version_id)


def _create_experiment(connection: Connection, name: str) -> str:
    from kfp_server_api import V2beta1Experiment

    experiment = V2beta1Experiment(display_name=name, namespace=connection.namespace or None)
    made = connection.experiments.experiment_service_create_experiment(experiment)
    return str(made.experiment_id)
