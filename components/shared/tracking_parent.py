"""The parent run: which it is, and how it ends."""

import getpass
import os
from typing import Any

from components.shared.execution import execution_identity, git_commit
from components.shared.tracking_store import experiment_id

EXECUTION_TAG = "decant.execution"
STEP_TAG = "decant.step"
PARENT_TAG = "mlflow.parentRunId"
_MAX_CHILDREN = 1000


def parent_run(client: Any) -> tuple[str, str, bool]:
    """The parent run, its experiment, and whether closing it is ours.

    Whoever started the run in MLFLOW_RUN_ID and left it running will also close it.
    """
    if given := os.environ.get("MLFLOW_RUN_ID"):
        run = client.get_run(given)
        is_running = run.info.status == "RUNNING"
        if not is_running:
            client.update_run(given, status="RUNNING")
        return given, str(run.info.experiment_id), not is_running
    experiment, execution = experiment_id(client), execution_identity()
    if not (run_id := _first_run(client, experiment, execution)):
        experiment_name = os.environ.get("DVC_EXP_NAME", "")
        tags = {EXECUTION_TAG: execution, **source_tags("pipelines")}
        if experiment_name:
            tags["decant.dvc_experiment"] = experiment_name
        name = experiment_name or f"pipeline-{execution[:8]}"
        made = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        run_id = _first_run(client, experiment, execution) or made
        if run_id != made:  # a parallel step was quicker
            client.delete_run(made)
    client.update_run(run_id, status="RUNNING")
    return run_id, experiment, True


def status_of_children(client: Any, experiment: str, parent_id: str) -> str:
    """What the newest run of every step adds up to; empty while one still runs."""
    children = client.search_runs(
        [experiment],
        f"tags.`{PARENT_TAG}` = '{parent_id}'",
        max_results=_MAX_CHILDREN,
        order_by=["attributes.start_time ASC"],
    )
    newest = {run.data.tags.get(STEP_TAG, ""): run.info.status for run in children}
    statuses = {status for step, status in newest.items() if step}
    for status in ("FAILED", "KILLED"):
        if status in statuses:
            return status
    return "" if "RUNNING" in statuses else "FINISHED"


def source_tags(name: str) -> dict[str, str]:
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


def _first_run(client: Any, experiment: str, execution: str) -> str:
    found = client.search_runs(
        [experiment],
        f"tags.`{EXECUTION_TAG}` = '{execution}'",
        max_results=1,
        order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
    )
    return str(found[0].info.run_id) if found else ""
