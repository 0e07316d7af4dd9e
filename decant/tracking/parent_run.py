"""The parent run: which it is, and how it ends."""

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decant.tracking.execution import execution_identity, git_commit
from decant.tracking.mlflow_store import experiment_id, experiment_name

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
        given: MLFLOW_RUN_ID; empty when the run is the one of the execution.
        experiment, name, tags: of a run that is created.
    """

    given: str
    execution: str
    experiment: str
    name: str
    tags: dict[str, str]


def parent_here() -> Parent:
    """The parent of a step that this process runs."""
    execution, dvc_experiment = execution_identity(), os.environ.get("DVC_EXP_NAME", "")
    tags = {EXECUTION_TAG: execution, **source_tags("pipelines")}
    if dvc_experiment:
        tags["decant.dvc_experiment"] = dvc_experiment
    return Parent(
        given=os.environ.get("MLFLOW_RUN_ID", ""),
        execution=execution,
        experiment=experiment_name(),
        name=dvc_experiment or f"pipeline-{execution[:8]}",
        tags=tags,
    )


def open_parent(client: "MlflowClient", parent: Parent, started_ms: int) -> tuple[str, str, bool]:
    """The ids of the parent run and its experiment, and whether this process closes it.

    The process that started the run in MLFLOW_RUN_ID and left it running also closes it.
    """
    if parent.given:
        run = client.get_run(parent.given)
        is_running = run.info.status == "RUNNING"
        if not is_running:
            client.update_run(parent.given, status="RUNNING")
        return parent.given, str(run.info.experiment_id), not is_running
    experiment = experiment_id(client, parent.experiment)
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
