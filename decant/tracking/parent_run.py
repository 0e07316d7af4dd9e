"""The parent run: which it is, and how it ends."""

import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from decant.runtime.git_repository import git_commit
from decant.runtime.secrets import shown_uri
from decant.tracking.execution import execution_identity
from decant.tracking.lasting_causes import deleted_run
from decant.tracking.mlflow_store import (
    experiment_id,
    experiment_name,
    given_experiment_id,
    tracking_uri,
)

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

EXECUTION_TAG = "decant.execution"
STEP_TAG = "decant.step"
PARENT_TAG = "mlflow.parentRunId"
_MAX_CHILDREN = 1000


@dataclass(frozen=True)
class Parent:
    """The run of a whole execution.

    Attributes:
        given: the run of MLFLOW_RUN_ID, or of the server; empty when it is the execution's.
        experiment, name, tags: of a run that is created; by `experiment_id` where that is given.
        task_run: the run below it that Kubeflow's server made for this step, and closes with the
            parent; empty without the server's MLflow integration.
    """

    given: str
    execution: str
    experiment: str
    name: str
    tags: dict[str, str]
    task_run: str = ""
    experiment_id: str = ""


def parent_here() -> Parent:
    """The parent of a step that this process runs."""
    execution, dvc_experiment = execution_identity(), os.environ.get("DVC_EXP_NAME", "")
    tags = {EXECUTION_TAG: execution, **source_tags("pipelines")}
    if dvc_experiment:
        tags["decant.dvc_experiment"] = dvc_experiment
    given, task_run = os.environ.get("MLFLOW_RUN_ID", ""), ""
    if given and (server_run := _run_of_the_server()):
        given, task_run = server_run, given
    return Parent(
        given=given,
        task_run=task_run,
        execution=execution,
        experiment=experiment_name(),
        experiment_id=given_experiment_id(),
        name=dvc_experiment or f"pipeline-{execution[:8]}",
        tags=tags,
    )


def open_parent(client: "MlflowClient", parent: Parent, started_ms: int) -> tuple[str, str, bool]:
    """The ids of the parent run and its experiment, and whether this process closes it.

    The process that started the run in MLFLOW_RUN_ID and left it running also closes it.
    """
    if parent.given:
        run = client.get_run(parent.given)
        if run.info.lifecycle_stage != "active":  # MLflow would take what is logged below it
            raise deleted_run(parent.given, f"MLFLOW_RUN_ID is {parent.given}")
        if parent.task_run:
            return parent.given, str(run.info.experiment_id), False
        is_running = run.info.status == "RUNNING"
        if not is_running:
            client.update_run(parent.given, status="RUNNING")
        return parent.given, str(run.info.experiment_id), not is_running
    experiment = parent.experiment_id or experiment_id(client, parent.experiment)
    if not (run_id := _first_run(client, experiment, parent.execution)):
        run = client.create_run(
            experiment, start_time=started_ms, tags=parent.tags, run_name=parent.name
        )
        made = run.info.run_id
        run_id = _first_run(client, experiment, parent.execution) or made
        if run_id != made:  # a parallel step was faster
            client.delete_run(made)
    client.update_run(run_id, status="RUNNING")
    return run_id, experiment, True


def close_parent(client: "MlflowClient", experiment: str, parent_id: str, is_ours: bool) -> None:
    """The parent follows its children, and ends with the last of them."""
    children = client.search_runs(
        [experiment],
        f"tags.`{PARENT_TAG}` = '{parent_id}'",
        max_results=_MAX_CHILDREN,
        order_by=["attributes.start_time ASC"],
    )
    status = _status_of(children)
    if status == "FAILED" or (status and is_ours):
        ends = [run.info.end_time for run in children if run.info.end_time]
        client.set_terminated(parent_id, status, max(ends, default=None))


def source_tags(name: str) -> dict[str, str]:
    """Who started a run, and of what, as MLflow's page shows it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return {
        "mlflow.user": user,
        "mlflow.source.name": name,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": git_commit(),
    }


def _run_of_the_server() -> str:
    """The execution's run where Kubeflow's server keeps runs in MLflow itself; else empty.

    KFP_MLFLOW_CONFIG has its id. Of another MLflow than this process uses it means nothing.
    """
    try:
        config = json.loads(os.environ.get("KFP_MLFLOW_CONFIG") or "{}")
        endpoint, run_id = str(config["endpoint"]), str(config["parentRunId"])
    except (ValueError, TypeError, KeyError):
        return ""
    ours = urlsplit(shown_uri(tracking_uri())).netloc
    return run_id if urlsplit(shown_uri(endpoint)).netloc == ours else ""


def _status_of(children: "Sequence[Run]") -> str:
    """The status from the newest run of every step; empty while one still runs."""
    newest = {run.data.tags.get(STEP_TAG, ""): run.info.status for run in children}
    statuses = {status for step, status in newest.items() if step}
    for status in ("FAILED", "KILLED"):
        if status in statuses:
            return status
    return "" if "RUNNING" in statuses else "FINISHED"


def _first_run(client: "MlflowClient", experiment: str, execution: str) -> str:
    found = client.search_runs(
        [experiment],
        f"tags.`{EXECUTION_TAG}` = '{execution}'",
        max_results=1,
        order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
    )
    return str(found[0].info.run_id) if found else ""
