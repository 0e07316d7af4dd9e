"""Watch a TrainJob until it ends: relay its first node's log, report a failure."""

import math
import time
from collections.abc import Sequence

from decant.runner.train_job.kubernetes_client import Node, TrainJobs, Unreachable
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter

LOOK_SECONDS = 5.0
LONGEST_SECONDS = 60.0  # between attempts while the API is silent, from LOOK_SECONDS on
# How long the API may be silent, as during an upgrade of the control plane.
PATIENCE_SECONDS = 600.0
TAIL_LINES = 40


def follow(jobs: TrainJobs, name: str, timeout_seconds: int | None, reporter: Reporter) -> None:
    """Return when the job is complete.

    One failed pod ends the job, although Kubernetes would retry: the pipeline decides about
    retries.

    Raises UserError when it failed, was deleted, or takes longer than `timeout_seconds`.
    """
    log, shown = _FirstLog(jobs), ""
    started = answered = time.monotonic()
    pause = LOOK_SECONDS
    while True:
        try:
            # In this order: pods that end because the job is deleted have not failed.
            nodes, job = jobs.nodes(name), jobs.find(name)
            log.relay(nodes)
            answered, pause = time.monotonic(), LOOK_SECONDS
        except Unreachable as error:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise UserError(
                    f"the state of the TrainJob {name} cannot be read: {error}",
                    code="cluster-unavailable",
                ) from None
            reporter.warning(f"{error}; the next attempt follows in {pause:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_SECONDS)
            continue
        if (state := _state(nodes)) != shown:
            reporter.message(f"TrainJob {name}: {state}")
            shown = state
        if job is None or job.deleting:
            raise UserError(
                f"the TrainJob {name} was deleted while it was running", code="train-job-deleted"
            )
        if job.ended == "Complete":
            return
        failed = [node for node in nodes if node.phase == "Failed"]
        if failed or job.ended:
            raise _failure(jobs, name, failed, job.message)
        if timeout_seconds and time.monotonic() - started > timeout_seconds:
            raise UserError(
                f"the TrainJob {name} has not ended after {timeout_seconds} s ({state})",
                code="train-job-timeout",
                hint="raise timeout_seconds in the profile, or find out why its nodes wait",
            )
        time.sleep(LOOK_SECONDS)


class _FirstLog:
    """Prints the first node's log, every line once."""

    def __init__(self, jobs: TrainJobs) -> None:
        self._jobs = jobs
        self._last = ""
        self._read = 0.0

    def relay(self, nodes: Sequence[Node]) -> None:
        first = next((node for node in nodes if node.number == 0), None)
        if first is None or first.phase == "Pending":
            return
        now = time.monotonic()
        # Somewhat more than since the last time; stamps have one length, so they compare as text.
        seconds = math.ceil(now - self._read) + 10 if self._last else None
        for stamp, line in self._jobs.log(first.pod, seconds=seconds):
            if stamp > self._last:
                print(line, flush=True)
                self._last = stamp
        self._read = now


def _state(nodes: Sequence[Node]) -> str:
    return ", ".join(f"node {node.number} {_phase(node)}" for node in nodes) or "no nodes yet"


def _phase(node: Node) -> str:
    return f"{node.phase} ({node.reason})" if node.reason else node.phase


def _failure(jobs: TrainJobs, name: str, failed: Sequence[Node], message: str) -> UserError:
    """The error of the node that failed first: the others only fail because it is missing."""
    if not failed:
        return UserError(f"the TrainJob {name} failed: {message}", code="train-job-failed")
    first = min(failed, key=lambda node: (node.finished or "~", node.number))
    if first.number > 0:
        try:
            tail = jobs.log(first.pod, lines=TAIL_LINES)
        except Unreachable:
            tail = []
        for _, line in tail:
            print(f"node {first.number}: {line}", flush=True)
    why = f" ({first.reason})" if first.reason else ""
    ended = "failed" if first.code is None else f"ended with code {first.code}"
    return UserError(
        f"node {first.number} of the TrainJob {name} {ended}{why}",
        code="train-job-failed",
        hint="its own message is above; OOMKilled: raise memory.limit in the profile",
    )
