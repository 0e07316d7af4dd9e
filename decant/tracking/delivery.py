"""Log a run in MLflow: live while the step runs or all of it later, with the same functions.

Each of them may be repeated without effect: a run is found by its record's tag, a point is the same
by name, value, epoch and time, and parameters, tags, links, files and the end are the same again.

Tags: decant.record     of a child: its record
      decant.process    of a child: the process that runs the step
      decant.identity   of a child: the step's identity
      decant.threads    of a child: the numbers of threads in it, where they count
      decant.behind.X   of a child: the run of step X whose artifact this one uses
      decant.reused.X   of a parent: the run of step X, made by an earlier execution
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from decant.runtime.process import PROCESS_TAG
from decant.tracking.parent_run import PARENT_TAG, close_parent, open_parent
from decant.tracking.record import Origin, Point, RunRecord
from decant.tracking.spool import Spool, Spooled

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

RECORD_TAG = "decant.record"
IDENTITY_TAG = "decant.identity"
THREADS_TAG = "decant.threads"
BEHIND_TAG = "decant.behind."
REUSED_TAG = "decant.reused."

HEADLINE_STEPS = ("finetune", "distill", "evaluate")  # their figures are also logged on the parent
_MAX_METRICS = 1000


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a run is in MLflow; `parent_is_ours`: this process also closes the parent."""

    run_id: str
    parent_id: str
    experiment: str
    parent_is_ours: bool


def deliver(client: "MlflowClient", record: RunRecord, files: Path) -> Place:
    """Log all of a run. It may be logged in part already.

    Args:
        files: folder with the run's artifacts, laid out as in MLflow.
    """
    place = begin(client, record, is_new=False)
    log_start(client, place, record)
    log_points(client, place.run_id, record.points)
    log_figures(client, place, record)
    for file in sorted(file for file in files.rglob("*") if file.is_file()):
        log_file(client, place, file, file.parent.relative_to(files).as_posix())
    log_end(client, place, record)
    return place


def send(client: "MlflowClient", spool: Spool, run: Spooled) -> Place:
    """Deliver a spooled run and remove it from the spool.

    A run without an end whose process is gone was killed at the time of its last write.

    Raises what MLflow or the spool's file system raises; the run then stays in the spool.
    """
    record = run.record
    if record is None or record.is_running:
        raise ValueError(f"{run.folder} cannot be sent")
    if record.ended_ms is None:
        record = replace(record, status="KILLED", ended_ms=record.written_ms)
    with spool.files_of(run) as files:
        place = deliver(client, record, files)
    spool.remove(run)
    return place


def begin(client: "MlflowClient", record: RunRecord, *, is_new: bool) -> Place:
    """The run of the record below its parent, made when missing.

    Args:
        is_new: it cannot exist yet, so it is not searched for.
    """
    parent_id, experiment, is_ours = open_parent(client, record.parent, record.started_ms)
    tags = {**record.tags, RECORD_TAG: record.id, PROCESS_TAG: record.process.as_tag()}
    if run_id := record.parent.task_run:
        client.update_run(run_id, status="RUNNING")  # an earlier attempt may have ended it
        for tag, value in tags.items():
            client.set_tag(run_id, tag, value)
    elif not is_new and (found := _run_with_tag(client, experiment, RECORD_TAG, record.id)):
        run_id = found.info.run_id
    else:
        run_id = client.create_run(
            experiment,
            start_time=record.started_ms,
            tags={**tags, PARENT_TAG: parent_id},
            run_name=record.step,
        ).info.run_id
    return Place(
        run_id=str(run_id),
        parent_id=parent_id,
        experiment=experiment,
        parent_is_ours=is_ours,
    )


def log_start(client: "MlflowClient", place: Place, record: RunRecord) -> dict[str, str]:
    """Log parameters, and link the runs that made the inputs.

    Returns these runs by step; for a run that MLflow does not have, its id in the sidecars.
    """
    for run_id in (place.run_id, place.parent_id):
        _log_params(client, run_id, record)
    step_runs: dict[str, str] = {}
    for step, (name, run) in _upstream(client, place.experiment, record.origins).items():
        step_runs[step] = run.info.run_id if run else name
        if run:
            client.set_tag(place.run_id, f"{BEHIND_TAG}{step}", run.info.run_id)
        if run and run.data.tags.get(PARENT_TAG) != place.parent_id:
            client.set_tag(place.parent_id, f"{REUSED_TAG}{step}", run.info.run_id)
    return step_runs


def log_points(client: "MlflowClient", run_id: str, points: Sequence[Point]) -> None:
    """Log points of curves, in requests of the size that MLflow takes."""
    from mlflow.entities import Metric

    metrics = [Metric(point.name, point.value, point.milliseconds, point.at) for point in points]
    for start in range(0, len(metrics), _MAX_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + _MAX_METRICS])


def log_figures(client: "MlflowClient", place: Place, record: RunRecord) -> None:
    """The step's figures; the headline figures also on the parent."""
    log_points(client, place.run_id, record.figures)
    if record.step in HEADLINE_STEPS:
        headline = [replace(point, name=f"{record.step}/{point.name}") for point in record.figures]
        log_points(client, place.parent_id, headline)


def log_file(client: "MlflowClient", place: Place, file: Path, folder: str) -> None:
    """Log a file into a folder of the run's artifacts."""
    client.log_artifact(place.run_id, str(file), folder)


def log_end(client: "MlflowClient", place: Place, record: RunRecord) -> None:
    """Close the child with its status; the parent follows its children."""
    if record.error:
        client.set_tag(place.run_id, "decant.error", record.error)
    client.set_terminated(place.run_id, record.status, record.ended_ms)
    if not record.parent.task_run:  # else the server closes it
        close_parent(client, place.experiment, place.parent_id, place.parent_is_ours)


def _log_params(client: "MlflowClient", run_id: str, record: RunRecord) -> None:
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    entries = [Param(key, value) for key, value in record.params.items()]
    try:
        client.log_batch(run_id, params=entries)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        client.set_tag(run_id, f"decant.params.{record.step}", "changed within one execution")


def _upstream(
    client: "MlflowClient", experiment: str, origins: Iterable[Origin]
) -> dict[str, tuple[str, "Run | None"]]:
    """Every step behind the inputs: the id of its run, and the run, None where unknown.

    DVC restores an artifact without its sidecar and may leave a stale sidecar in its place. The run
    in a stale sidecar has another identity than the artifact, and is ignored. Where the sidecar
    names no usable run, the newest run with the artifact's identity is used.
    """
    behind: dict[str, tuple[str, Run | None]] = {}
    for origin in origins:
        names = dict(origin.step_runs)
        run = _run(client, experiment, names.get(origin.step, ""))
        if run and run.data.tags.get(IDENTITY_TAG) != origin.identity:
            run, names = None, {}
        finished = "attributes.status = 'FINISHED'"
        run = run or _run_with_tag(client, experiment, IDENTITY_TAG, origin.identity, finished)
        if run:
            behind[origin.step] = (run.info.run_id, run)
            tags = run.data.tags.items()
            names |= {tag.removeprefix(BEHIND_TAG): it for tag, it in tags if BEHIND_TAG in tag}
        for step, name in names.items():
            if step not in behind or not behind[step][1]:
                behind[step] = (name, _run(client, experiment, name))
    return behind


def _run(client: "MlflowClient", experiment: str, run_id: str) -> "Run | None":
    """A run by its id, or by its record's id where MLflow could not give it one.

    None for a run of another store, a deleted one, or one that is not sent yet.
    """
    if not run_id:
        return None
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return _run_with_tag(client, experiment, RECORD_TAG, run_id)
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _run_with_tag(
    client: "MlflowClient", experiment: str, tag: str, value: str, more: str = ""
) -> "Run | None":
    """The newest such run, or None."""
    wanted = f"tags.`{tag}` = '{value}'"
    found = client.search_runs(
        [experiment],
        f"{wanted} and {more}" if more else wanted,
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return found[0] if found else None
