"""MLflow tracking: one parent run per execution, a child run per executed step.

The parent is, in this order: the run in MLFLOW_RUN_ID; the run tagged with KFP's run id; the run
tagged with the execution's identity (project, parameters, code, and the `dvc` process above us).
A server that does not answer costs the tracking, never the step.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from components.shared import identity
from components.shared.errors import UserError
from components.shared.reporter import Reporter
from components.shared.steps import STEPS

EXECUTION_TAG = "decant.execution"
IDENTITY_TAG = "decant.identity"
STEP_TAG = "decant.step"
PICTURES = ("*.png", "*.html", "*.md")


@dataclass(frozen=True)
class Origin:
    """Where an input artifact came from: its step, that step's identity, the runs behind it."""

    step: str
    identity: str
    step_runs: Mapping[str, str]


@dataclass(kw_only=True)
class StepRun:
    """A step's child run, or nothing at all when tracking is off or out of reach."""

    client: Any = None
    run_id: str = ""
    parent_id: str = ""
    step: str = ""
    step_runs: dict[str, str] = field(default_factory=dict)

    def finish(self, reporter: Reporter, seconds: float, folders: Mapping[str, Path]) -> None:
        """Log the step's figures and pictures; the headline figures also on the parent."""
        if not self.client:
            return
        figures = {**reporter.metrics, **reporter.measures, "seconds": seconds}
        for name, value in figures.items():
            self.client.log_metric(self.run_id, _metric_name(name), value)
            if self.step in ("evaluate", "finetune", "distill"):
                self.client.log_metric(self.parent_id, f"{self.step}/{_metric_name(name)}", value)
        for port, folder in folders.items():
            for pattern in (*PICTURES, "card.json"):
                for file in sorted(folder.glob(pattern)):
                    self.client.log_artifact(self.run_id, str(file), port)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the embedded store in the project's root.

    Raises UserError on a cluster without a server, where a local store would go with the pod.
    """
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        raise UserError(
            "no MLFLOW_TRACKING_URI on a cluster: a local store would vanish with the pod",
            remedy="set MLFLOW_TRACKING_URI in the profile, or DECANT_TRACKING=off",
        )
    return f"sqlite:///{_store_root() / 'mlflow.db'}"


def mlflow_client() -> Any:
    """A client of the tracking server or store, with the fluent API pointed at the same place."""
    import mlflow

    mlflow.set_tracking_uri(tracking_uri())
    return mlflow.MlflowClient()


def experiment_id(client: Any) -> str:
    """The experiment MLFLOW_EXPERIMENT_NAME, or `decant`, made when missing."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "decant")
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    local = tracking_uri().startswith("sqlite:")
    location = (_store_root() / "mlruns").as_uri() if local else None
    return str(client.create_experiment(name, artifact_location=location))


@contextmanager
def tracked_step(
    step: str, key: str, params: Any, origins: Sequence[Origin], reporter: Reporter
) -> Iterator[StepRun]:
    """A child run for the step; ends FINISHED, or FAILED when the block raises."""
    run = _open(step, key, params, origins, reporter)
    reporter.run_id = run.run_id
    if run.client:
        reporter.on_point = lambda curve, at, value: run.client.log_metric(
            run.run_id, _metric_name(curve), value, step=at
        )
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    finally:
        if run.client:
            run.client.set_terminated(run.run_id, status)
            run.client.set_terminated(run.parent_id, status)


def execution_identity() -> str:
    """What all steps of one execution share and no other execution does."""
    if kfp_run := os.environ.get("KFP_RUN_ID"):
        return kfp_run
    return identity.text_digest(
        identity.canonical_json(
            {
                "project": str(identity.PROJECT),
                "params": identity.file_digest(identity.PROJECT / "params.yaml"),
                "code": [identity.code_digest(step) for step in STEPS],
                "lock": identity.lock_digest(),
                "experiment": os.environ.get("DVC_EXP_NAME", ""),
                "launcher": _dvc_process(),
            }
        )
    )[:32]


def git_commit() -> str:
    """The checkout's commit, with `-dirty` where files differ; DECANT_COMMIT inside an image."""
    if commit := os.environ.get("DECANT_COMMIT"):
        return commit
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match="],
            cwd=identity.PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()


def _open(
    step: str, key: str, params: Any, origins: Sequence[Origin], reporter: Reporter
) -> StepRun:
    if os.environ.get("DECANT_TRACKING", "on") == "off":
        return StepRun(step=step, step_runs=_known_runs(origins))
    uri = tracking_uri()
    try:
        client = mlflow_client()
        experiment = experiment_id(client)
        parent_id = _parent_run(client, experiment)
        tags = {
            STEP_TAG: step,
            IDENTITY_TAG: key,
            "mlflow.parentRunId": parent_id,
            "mlflow.runName": step,
            "decant.code": identity.code_digest(step),
            "mlflow.source.git.commit": git_commit(),
        }
        run_id = client.create_run(experiment, tags=tags, run_name=step).info.run_id
        _log_params(client, run_id, step, params)
        _log_params(client, parent_id, step, params)
        upstream = _link_reused(client, experiment, parent_id, origins)
    except Exception as error:  # any failure of the server must not cost the training
        reporter.warning(
            f"MLflow at {_without_password(uri)} does not answer, not tracked: {error}"
        )
        return StepRun(step=step, step_runs=_known_runs(origins))
    return StepRun(
        client=client,
        run_id=run_id,
        parent_id=parent_id,
        step=step,
        step_runs={**upstream, step: run_id},
    )


def _parent_run(client: Any, experiment: str) -> str:
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        client.update_run(run_id, status="RUNNING")
        return run_id
    execution = execution_identity()
    found = client.search_runs(
        [experiment], f"tags.`{EXECUTION_TAG}` = '{execution}'", max_results=1
    )
    if found:
        run_id = str(found[0].info.run_id)
        client.update_run(run_id, status="RUNNING")
        return run_id
    tags = {EXECUTION_TAG: execution, "mlflow.source.git.commit": git_commit()}
    if experiment_name := os.environ.get("DVC_EXP_NAME"):
        tags["decant.dvc_experiment"] = experiment_name
    name = os.environ.get("DVC_EXP_NAME") or f"pipeline-{execution[:8]}"
    return str(client.create_run(experiment, tags=tags, run_name=name).info.run_id)


def _link_reused(
    client: Any, experiment: str, parent_id: str, origins: Sequence[Origin]
) -> dict[str, str]:
    """Tag the parent with the runs of the steps that this execution took over from another."""
    upstream = _known_runs(origins)
    for origin in origins:
        if origin.step not in upstream:
            found = client.search_runs(
                [experiment], f"tags.`{IDENTITY_TAG}` = '{origin.identity}'", max_results=1
            )
            if found:
                upstream[origin.step] = str(found[0].info.run_id)
    for step, run_id in list(upstream.items()):
        found = client.search_runs([experiment], f"attributes.run_id = '{run_id}'", max_results=1)
        if not found:  # made under another tracking store
            del upstream[step]
        elif found[0].data.tags.get("mlflow.parentRunId") != parent_id:
            client.set_tag(parent_id, f"decant.reused.{step}", run_id)
    return upstream


def _known_runs(origins: Sequence[Origin]) -> dict[str, str]:
    return {step: run for origin in origins for step, run in origin.step_runs.items()}


def _log_params(client: Any, run_id: str, step: str, params: Any) -> None:
    """Under prefixed keys: MLflow's parameters are immutable and others write plain names."""
    from mlflow.entities import Param
    from mlflow.exceptions import MlflowException

    values = vars(params)
    entries = [
        Param(f"{step}.{key}", identity.canonical_json(value)[:6000])
        for key, value in values.items()
        if not key.startswith("__")
    ]
    try:
        client.log_batch(run_id, params=entries)
    except MlflowException:
        client.set_tag(run_id, f"decant.params.{step}", "changed within one execution")


def _dvc_process() -> str:
    """The nearest `dvc` above this process: every `dvc repro` is an execution of its own."""
    for process in psutil.Process().parents():
        try:
            words = [Path(word).name for word in process.cmdline()[:3]]
        except psutil.Error:
            continue
        if "dvc" in words:
            return f"{process.pid}@{process.create_time()}"
    return ""


def _store_root() -> Path:
    """The project's root, also from the temporary copy in which `dvc exp run --temp` works."""
    for folder in identity.PROJECT.parents:
        if folder.name == ".dvc":
            return folder.parent
    return identity.PROJECT


def _metric_name(name: str) -> str:
    return name.replace("[", "(").replace("]", ")")


def _without_password(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
