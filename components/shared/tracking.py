"""MLflow tracking: one parent run per execution, a child run per executed step.

The parent is the run in MLFLOW_RUN_ID, else the run tagged with the execution's identity (KFP's run
id, or parameters, code and the `dvc` process above us), made by the first step that asks.

Tags: decant.identity   of a child: the step's identity
      decant.behind.X   of a child: the run of step X, on whose artifact this one rests
      decant.reused.X   of a parent: the run of step X, made by an earlier execution

A server that does not answer costs the tracking, never the step.
"""

import dataclasses
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.shared import identity
from components.shared.errors import UserError
from components.shared.reporter import Reporter
from components.shared.tracking_parent import (
    PARENT_TAG,
    STEP_TAG,
    parent_run,
    source_tags,
    status_of_children,
)
from components.shared.tracking_store import open_client, tracking_is_on, without_secrets

IDENTITY_TAG = "decant.identity"
BEHIND_TAG = "decant.behind."
REUSED_TAG = "decant.reused."

LOGGED_FILES = ("*.png", "*.html", "*.md", "card.json")
HEADLINE_STEPS = ("finetune", "distill", "evaluate")  # their figures also stand on the parent
_MAX_PARAM_CHARACTERS = 6000
_MAX_METRICS = 1000


@dataclass(frozen=True)
class Origin:
    """Where an input artifact came from: its step, that step's identity, the runs behind it."""

    step: str
    identity: str
    step_runs: Mapping[str, str]


@dataclass(kw_only=True)
class StepRun:
    """A step's child run, or nothing at all when tracking is off or out of reach.

    Attributes:
        has_failed: MLflow failed once; nothing but the run's end is tried again.
        step_runs: the run of each step behind this one's artifacts, its own included.
    """

    step: str
    reporter: Reporter
    client: Any = None
    experiment: str = ""
    run_id: str = ""
    parent_id: str = ""
    parent_is_ours: bool = True
    has_failed: bool = False
    step_runs: dict[str, str] = field(default_factory=dict)

    def log_point(self, curve: str, at: int, value: float) -> None:
        """Live, so that a curve can be watched while the step runs."""
        self._attempt(
            lambda client: client.log_metric(self.run_id, _metric_name(curve), value, step=at)
        )

    def finish(self, reporter: Reporter, seconds: float, folders: Mapping[str, Path]) -> None:
        """Log the step's figures and pictures; the headline figures also on the parent."""
        figures = {**reporter.metrics, **reporter.measures, "seconds": seconds}
        self._attempt(lambda client: log_figures(client, self.run_id, figures))
        if self.step in HEADLINE_STEPS:
            headline = {f"{self.step}/{name}": value for name, value in figures.items()}
            self._attempt(lambda client: log_figures(client, self.parent_id, headline))
        for port, folder in folders.items():
            for file in sorted(file for glob in LOGGED_FILES for file in folder.glob(glob)):
                self._log_file(file, port)

    def end(self, status: str, error: BaseException | None = None) -> None:
        """Close the child; the parent follows its children."""
        if not self.client:
            return
        try:
            if error:
                text = without_secrets(f"{type(error).__name__}: {error}")[:500]
                self.client.set_tag(self.run_id, "decant.error", text)
            self.client.set_terminated(self.run_id, status)
            parent_status = status_of_children(self.client, self.experiment, self.parent_id)
            if parent_status == "FAILED" or (parent_status and self.parent_is_ours):
                self.client.set_terminated(self.parent_id, parent_status)
        except Exception as failure:
            self._give_up(failure)

    def begin(self, params: Any, origins: Sequence[Origin]) -> None:
        """Log the parameters and tie this run to the runs that made its inputs."""
        self._attempt(lambda client: self._log_params_and_links(client, params, origins))

    def _log_params_and_links(self, client: Any, params: Any, origins: Sequence[Origin]) -> None:
        for run_id in (self.run_id, self.parent_id):
            _log_params(client, run_id, self.step, params)
        for step, (run_id, parent_id) in self._upstream(origins).items():
            client.set_tag(self.run_id, f"{BEHIND_TAG}{step}", run_id)
            self.step_runs[step] = run_id
            if parent_id != self.parent_id:
                client.set_tag(self.parent_id, f"{REUSED_TAG}{step}", run_id)

    def _upstream(self, origins: Sequence[Origin]) -> dict[str, tuple[str, str]]:
        """Run and parent run of every step behind the inputs."""
        behind: dict[str, tuple[str, str]] = {}
        for origin in origins:
            run = self._run_of(origin)
            if not run:
                continue
            behind[origin.step] = (run.info.run_id, run.data.tags.get(PARENT_TAG, ""))
            for tag, run_id in run.data.tags.items():
                step = tag.removeprefix(BEHIND_TAG)
                if step != tag and step not in behind and (older := _run(self.client, run_id)):
                    behind[step] = (run_id, older.data.tags.get(PARENT_TAG, ""))
        return behind

    def _run_of(self, origin: Origin) -> Any:
        """The run that made an artifact: the sidecar's, else the newest with the same identity.

        DVC restores an artifact without its sidecar and may leave a stale one in its place, so
        what the sidecar says counts only when that run carries the artifact's identity.
        """
        run = _run(self.client, origin.step_runs.get(origin.step, ""))
        if run and run.data.tags.get(IDENTITY_TAG) == origin.identity:
            return run
        found = self.client.search_runs(
            [self.experiment],
            f"tags.`{IDENTITY_TAG}` = '{origin.identity}' and attributes.status = 'FINISHED'",
            max_results=1,
            order_by=["attributes.start_time DESC"],
        )
        return found[0] if found else None

    def _log_file(self, file: Path, port: str) -> None:
        self._attempt(lambda client: client.log_artifact(self.run_id, str(file), port))

    def _attempt(self, action: Callable[[Any], object]) -> None:
        """Nothing that MLflow refuses or fails to do may cost the step."""
        if self.client and not self.has_failed:
            try:
                action(self.client)
            except Exception as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if not self.has_failed:
            self.reporter.warning(f"MLflow failed, figures lost: {without_secrets(str(error))}")
        self.has_failed = True


@contextmanager
def tracked_step(
    step: str, key: str, params: Any, origins: Sequence[Origin], reporter: Reporter
) -> Iterator[StepRun]:
    """A child run for the step; ends FINISHED, or FAILED when the block raises."""
    run = _open(step, key, reporter)
    if run.client:
        reporter.run_id = run.run_id
        reporter.on_point = run.log_point
        run.begin(params, origins)
    else:
        known = {name: run_id for origin in origins for name, run_id in origin.step_runs.items()}
        run.step_runs.update(known)
    try:
        yield run
    except BaseException as error:
        run.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", error)
        raise
    run.end("FINISHED")


def _open(step: str, key: str, reporter: Reporter) -> StepRun:
    untracked = StepRun(step=step, reporter=reporter)
    if not tracking_is_on():
        return untracked
    try:
        client = open_client()
        parent_id, experiment, is_ours = parent_run(client)
        tags = {
            STEP_TAG: step,
            IDENTITY_TAG: key,
            PARENT_TAG: parent_id,
            "decant.code": identity.code_digest(step),
            **source_tags(f"components/{step}"),
        }
        run_id = client.create_run(experiment, tags=tags, run_name=step).info.run_id
    except UserError:
        raise
    except Exception as error:
        reporter.warning(f"not tracked, MLflow failed: {without_secrets(str(error))}")
        return untracked
    return StepRun(
        step=step,
        reporter=reporter,
        client=client,
        experiment=experiment,
        run_id=run_id,
        parent_id=parent_id,
        parent_is_ours=is_ours,
        step_runs={step: run_id},
    )


def _run(client: Any, run_id: str) -> Any:
    """None for a run of another store, or a deleted one."""
    if not run_id:
        return None
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def _log_params(client: Any, run_id: str, step: str, params: Any) -> None:
    """Under prefixed keys: MLflow's parameters are immutable and others write plain names."""
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    values = dataclasses.asdict(params)
    entries = [
        Param(f"{step}.{key}", identity.canonical_json(value)[:_MAX_PARAM_CHARACTERS])
        for key, value in values.items()
    ]
    try:
        client.log_batch(run_id, params=entries)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        client.set_tag(run_id, f"decant.params.{step}", "changed within one execution")


def log_figures(client: Any, run_id: str, figures: Mapping[str, float]) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [Metric(_metric_name(name), value, now, 0) for name, value in figures.items()]
    for start in range(0, len(metrics), _MAX_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + _MAX_METRICS])


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits and `_-. :/`."""
    return re.sub(r"[^\w\-. :/]", "_", name)
