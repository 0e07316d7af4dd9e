"""Run a step on several nodes: inputs to the shared volume, a TrainJob, outputs back.

The job is named after the run and the step. So when a task is lost with its node, the next attempt
continues with the job, and no second one starts beside it.
"""

import copy
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from decant.runner.run_step import reporter_of
from decant.runner.train_job.exchange import Exchange
from decant.runner.train_job.kubernetes_client import TrainJobs, Unreachable
from decant.runner.train_job.node_plan import Plan
from decant.runner.train_job.watch import follow
from decant.runtime.artifacts import check_targets, read_card, written_whole
from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json, text_digest
from decant.runtime.log_lines import logged_by
from decant.runtime.reporter import Reporter
from decant.runtime.retrying import retried
from decant.runtime.settings import parse
from decant.runtime.steps import load_step
from decant.runtime.termination import end_on_termination
from decant.tracking.spool import SPOOL

A = TypeVar("A")
B = TypeVar("B")

# Kubernetes gives a pod 30 seconds to end: the task's pod and the nodes'.
TIDY_SECONDS = 20.0
START_SECONDS = 300.0
RETRY_SECONDS = 1.0  # the first pause
RUN_VARIABLE = "KFP_RUN_ID"


def run_as_train_job(
    name: str, section: Mapping[str, Any], ports: Mapping[str, Path], plan: Plan
) -> Reporter:
    """Run the step in the plan's TrainJob, as `run_step` would run it here.

    However this ends, also by SIGTERM, the job and the copied inputs are deleted.

    Returns the reporter with the step's metrics and measures.
    Raises UserError for whatever the user can fix; the outputs are then unchanged.
    """
    end_on_termination()
    step = load_step(name)
    parse(step.params, section, name)
    inputs, outputs = step.bind(ports)
    check_targets(outputs, inputs)
    for path in inputs.values():
        read_card(path)
    run = os.environ.get(RUN_VARIABLE) or str(uuid.uuid4())
    job = _job_name(run, name, section, plan)
    exchange = Exchange(Path(plan.shared), job)
    reporter, jobs = Reporter(step=name), TrainJobs()
    with reporter.running(), logged_by(reporter.warning), written_whole(outputs) as folders:
        try:
            if _is_active(jobs, job):
                reporter.message(f"continues with the TrainJob {job} in namespace {jobs.namespace}")
            else:
                exchange.bring(name, section, inputs)
                command = exchange.command(name, ports)
                reporter.message(f"starts the TrainJob {job} in namespace {jobs.namespace}")
                manifest = manifest_of(plan, job, name, run, command, exchange.cache)
                _with_retries(jobs.create, manifest)
            follow(jobs, job, plan.timeout_seconds, reporter)
            exchange.take(folders)
        finally:
            _tidy(jobs, job, exchange, reporter)
    return reporter_of(step, outputs)


def manifest_of(
    plan: Plan, job: str, step: str, run: str, command: list[str], cache: Path
) -> dict[str, Any]:
    """The TrainJob to post: the plan's manifest, completed with what belongs to this run.

    Args:
        cache: folder for what the nodes share, unless the profile sets one.
    """
    manifest: dict[str, Any] = copy.deepcopy(dict(plan.manifest))
    manifest["metadata"] = {"name": job, "labels": {"decant/step": step, "pipeline/runid": run}}
    trainer = manifest["spec"]["trainer"]
    trainer["command"] = command
    trainer.setdefault("env", []).append({"name": RUN_VARIABLE, "value": run})
    # Not in the pods, which are lost.
    kept = {"DECANT_CACHE": str(cache), SPOOL: f"{plan.shared}/mlflow-spool"}
    named = {one["name"] for one in trainer["env"]}
    trainer["env"] += [{"name": key, "value": kept[key]} for key in kept if key not in named]
    return manifest


def _job_name(run: str, step: str, section: Mapping[str, Any], plan: Plan) -> str:
    """The same in every attempt; short, since the names of pods begin with it."""
    digest = text_digest(" ".join([run, step, canonical_json(dict(section)), plan.to_json()]))
    return f"decant-{step}-{digest[:12]}"


def _is_active(jobs: TrainJobs, name: str) -> bool:
    """Whether an earlier attempt's job runs or is complete; a failed one is removed."""
    found = _with_retries(jobs.find, name)
    if found is None:
        return False
    if found.ended != "Failed" and not found.deleting:
        return True
    if not jobs.delete(name, seconds=START_SECONDS):
        raise UserError(
            f"the TrainJob {name} of an earlier attempt cannot be deleted",
            code="train-job-stuck",
            hint=f"see why: kubectl describe trainjob {name}",
        )
    return False


def _with_retries(request: Callable[[A], B], argument: A) -> B:
    """Retry while the API does not answer: the job has a name, so no second one can start."""
    try:
        return retried(
            "a request to the Kubernetes API",
            lambda: request(argument),
            passes=lambda error: isinstance(error, Unreachable),
            seconds=START_SECONDS,
            first_seconds=RETRY_SECONDS,
        )
    except Unreachable as error:
        raise UserError(str(error), code="cluster-unavailable") from None


def _tidy(jobs: TrainJobs, job: str, exchange: Exchange, reporter: Reporter) -> None:
    """Delete job and copies. A failure is a warning, so that it does not hide how the job ended."""
    try:
        if not jobs.delete(job, seconds=TIDY_SECONDS):
            reporter.warning(f"the pods of the TrainJob {job} are still ending")
    except (Unreachable, UserError) as error:
        reporter.warning(f"the TrainJob {job} may still be there: {error}")
    exchange.remove()
