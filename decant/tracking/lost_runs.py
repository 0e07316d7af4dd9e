"""Runs that a killed process left RUNNING: who sees that it is gone closes them as KILLED.

That is seen by a later attempt of the same step in the same execution, by any process of the same
machine, and by whoever sees a run of Kubeflow Pipelines end.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from decant.runtime.process import PROCESS_TAG, host, read_tag
from decant.tracking.parent_run import EXECUTION_TAG, PARENT_TAG, STEP_TAG, close_parent

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_MOST = 1000


def close_lost(client: "MlflowClient", experiments: Sequence[str]) -> "list[Run]":
    """Close the runs of steps whose process was of this machine and is gone; returns them."""
    found = _search(client, experiments, f"tags.`{PROCESS_TAG}` LIKE '% {host()}'")
    lost = []
    for run in found:
        process = read_tag(run.data.tags[PROCESS_TAG])
        if process and process.is_here and not process.is_alive:
            lost.append(run)
    _end(client, lost)
    for parent_id in {run.data.tags.get(PARENT_TAG, "") for run in lost} - {""}:
        parent = client.get_run(parent_id)  # one that is not an execution's has an owner
        if EXECUTION_TAG in parent.data.tags and parent.info.status == "RUNNING":
            close_parent(client, parent.info.experiment_id, parent_id, is_ours=True)
    return lost


def close_earlier_attempts(
    client: "MlflowClient", experiment: str, parent_id: str, step: str, own: str
) -> "list[Run]":
    """Close a step's other runs below the parent, unless their process is alive; returns them.

    An execution makes a step's next attempt when the one before has ended.

    Args:
        own: the run of the attempt that asks.
    """
    found = _search(
        client,
        [experiment],
        f"tags.`{PARENT_TAG}` = '{parent_id}' and tags.`{STEP_TAG}` = '{step}'",
    )
    lost = []
    for run in found:
        process = read_tag(run.data.tags.get(PROCESS_TAG, ""))
        is_alive = process is not None and process.is_here and process.is_alive
        if run.info.run_id != own and not is_alive:
            lost.append(run)
    _end(client, lost)  # the parent goes on
    return lost


def close_execution(client: "MlflowClient", execution: str) -> "list[Run]":
    """Close an execution that has ended and what still runs of its steps; returns the latter."""
    lost: list[Run] = []
    wanted = f"tags.`{EXECUTION_TAG}` = '{execution}'"
    for parent in _search(client, all_experiments(client), wanted):
        experiment, parent_id = parent.info.experiment_id, parent.info.run_id
        own = _search(client, [experiment], f"tags.`{PARENT_TAG}` = '{parent_id}'")
        _end(client, own)
        close_parent(client, experiment, parent_id, is_ours=True)
        lost += own
    return lost


def all_experiments(client: "MlflowClient") -> list[str]:
    """The ids of those that are not deleted."""
    return [str(one.experiment_id) for one in client.search_experiments()]


def _search(client: "MlflowClient", experiments: Sequence[str], wanted: str) -> "list[Run]":
    wanted = f"attributes.status = 'RUNNING' and {wanted}"
    return list(client.search_runs(list(experiments), wanted, max_results=_MOST))


def _end(client: "MlflowClient", runs: "list[Run]") -> None:
    for run in runs:
        client.set_terminated(run.info.run_id, "KILLED")
