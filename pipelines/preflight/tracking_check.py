"""MLflow: reachable, and its artifact store accepts what the steps will log."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from decant.runtime.errors import UserError
from decant.runtime.secrets import shown_uri
from decant.tracking.mlflow_store import experiment_id, open_client, tracking_is_on, tracking_uri
from pipelines.kubeflow.package import check_tracking_uri, environment_of, names_tracking
from pipelines.preflight.check_result import Result

_FILE = "decant-doctor.txt"


def check_tracking(
    uri: str | None, *, for_cluster: bool, documents: list[dict[str, Any]] | None = None
) -> Result:
    """Log a small artifact in a new run, then delete both.

    Args:
        uri: of the server that the steps will use; else what the package sets, else
            MLFLOW_TRACKING_URI, else the embedded store.
        for_cluster: a store on this machine is refused.
        documents: the package's.

    Raises UserError for such a store, and what MLflow raises.
    """
    variables = environment_of(documents) if documents else {}
    if not tracking_is_on() or variables.get("DECANT_TRACKING") == "off":
        return Result(name="MLflow", status="skipped", detail="DECANT_TRACKING is off")
    given = uri or variables.get("MLFLOW_TRACKING_URI")
    if for_cluster and not given and documents and names_tracking(documents):
        return Result(
            name="MLflow", status="skipped", detail="its address comes from the cluster's secrets"
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
    with _tracking_uri(given):
        return _write_and_delete()


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
    return Result(name="MLflow", status="ok", detail=f"{where}: an artifact written and deleted")


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
