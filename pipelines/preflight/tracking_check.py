"""MLflow: reachable, and its artifact store accepts what the steps will log."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from decant.runtime.errors import UserError
from decant.runtime.secrets import shown_uri
from decant.tracking.mlflow_store import (
    check_reachable,
    experiment_id,
    open_client,
    tracking_is_on,
    tracking_uri,
)
from pipelines.kubeflow.package import check_tracking_uri, environment_of, names_tracking
from pipelines.preflight.check_result import Result
from pipelines.preflight.cluster_address import is_inside_a_cluster

NAME = "MLflow"
LIBRARIES = ("mlflow.tracking",)  # of write_and_delete, in a process of its own
_FILE = "decant-doctor.txt"


def write_and_delete(uri: str | None) -> Result:
    """Log a small artifact in a new run, then delete both. Raises what MLflow raises.

    Args:
        uri: MLFLOW_TRACKING_URI, else the embedded store, where it is not given.
    """
    with _tracking_uri(uri):
        return _write_and_delete()


def check_tracking(
    uri: str | None,
    *,
    for_cluster: bool,
    documents: list[dict[str, Any]] | None = None,
    write: Callable[[str | None], Result] = write_and_delete,
) -> Result:
    """Whether the store of the steps' runs answers and takes what they log.

    Args:
        uri: of the server that the steps will use; else what the package sets, else
            MLFLOW_TRACKING_URI, else the embedded store.
        for_cluster: a store on this machine is refused.
        documents: the package's.
        write: the check itself; `own_process` runs it elsewhere.

    Raises UserError for such a store, ConnectionError for one that does not answer, and what MLflow
    raises. One that does not answer here is a warning where its address is the cluster's own.
    """
    variables = environment_of(documents) if documents else {}
    if not tracking_is_on() or variables.get("DECANT_TRACKING") == "off":
        return Result(name=NAME, status="skipped", detail="DECANT_TRACKING is off")
    given = uri or variables.get("MLFLOW_TRACKING_URI")
    if for_cluster and not given and documents and names_tracking(documents):
        return Result(
            name=NAME, status="skipped", detail="its address comes from the cluster's secrets"
        )
    given = given or os.environ.get("MLFLOW_TRACKING_URI")
    if for_cluster and not given:
        raise UserError(
            "no MLflow server is set for the steps on the cluster",
            code="option-missing",
            hint="give --mlflow-uri, or set MLFLOW_TRACKING_URI in the profile",
        )
    if for_cluster:
        check_tracking_uri(given)
        if inside := _only_inside(str(given)):
            return inside
    return write(given)


def _only_inside(uri: str) -> Result | None:
    """A warning where nothing answers here at an address of the cluster."""
    if not uri.startswith(("http://", "https://")):
        return None
    try:
        check_reachable(uri)
    except ConnectionError as error:
        if not is_inside_a_cluster(urlsplit(uri).hostname or ""):
            raise
        return Result(
            name=NAME,
            status="warning",
            detail=f"{error}: only the cluster reaches this address; not checked: whether MLflow "
            "answers, accepts the credentials and stores artifacts",
            hint="kubectl run ask --rm -i --restart=Never --image=curlimages/curl -- "
            f"curl -sS {shown_uri(uri).rstrip('/')}/health",
        )
    return None


def _write_and_delete() -> Result:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client = open_client()
    run = client.create_run(experiment_id(client), run_name="decant doctor")
    try:
        client.log_text(run.info.run_id, "may be deleted", _FILE)
        artifacts = get_artifact_repository(run.info.artifact_uri, tracking_uri=tracking_uri())
        if _FILE not in {file.path for file in artifacts.list_artifacts()}:
            raise UserError(
                "the artifact store accepts a file but does not list it", code="tracking-failed"
            )
        artifacts.delete_artifacts(_FILE)
    finally:
        client.delete_run(run.info.run_id)
    where = shown_uri(tracking_uri())
    return Result(name=NAME, status="ok", detail=f"{where}: an artifact written and deleted")


@contextmanager
def _tracking_uri(uri: str | None) -> Iterator[None]:
    before = os.environ.get("MLFLOW_TRACKING_URI")
    if uri:
        os.environ["MLFLOW_TRACKING_URI"] = uri
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before
