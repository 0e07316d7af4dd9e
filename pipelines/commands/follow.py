"""decant follow: watch a run on a cluster until it ends."""

import os
import sys

import click
from rich.console import Console
from rich.markup import escape

from decant.runtime.secrets import without_secrets
from decant.tracking.lost_runs import close_execution
from decant.tracking.mlflow_store import first_line, open_client
from pipelines.kubeflow.cluster_options import ServerOptions, server_options
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.display import clock_time, watching
from pipelines.kubeflow.failures import show_failure
from pipelines.kubeflow.run_progress import EXIT_CODES, OUTAGE_SECONDS, Outcome, follow_run
from pipelines.kubeflow.states import Run
from pipelines.kubeflow.task_needs import Cluster


@click.command("follow", epilog=EXIT_CODES)
@click.argument("run_id")
@server_options
@click.option("--timeout-seconds", type=click.IntRange(min=1), help="Stop waiting after this time.")
@click.option(
    "--log", "whole_log", is_flag=True, help="Of a task that failed, show the whole log of its pod."
)
def follow_command(
    run_id: str, server: ServerOptions, timeout_seconds: int | None, whole_log: bool
) -> None:
    """Watch the run RUN_ID until it ends; the exit code is its outcome."""
    sys.exit(wait_for_run(server.connect(), run_id, timeout_seconds, whole_log=whole_log))


def wait_for_run(
    connection: Connection,
    run_id: str,
    timeout_seconds: float | None,
    *,
    whole_log: bool = False,
) -> Outcome:
    """Watch and show the run, and report its end. The outcome is the exit code."""
    console = Console(soft_wrap=True, highlight=False, emoji=False)
    cluster = Cluster(connection)
    run: Run | None = None
    try:
        with watching(console, cluster) as watcher:
            outcome, run = follow_run(connection, run_id, watcher, timeout_seconds=timeout_seconds)
    except KeyboardInterrupt:
        outcome = Outcome.INTERRUPTED
    if outcome is Outcome.FAILED and run:
        show_failure(cluster, run, console, whole_log=whole_log)
    if outcome in (Outcome.FAILED, Outcome.CANCELED):
        _close_in_mlflow(run_id, console)
    for name, address in run.links if run else ():
        console.print(f"{escape(name)}: {escape(without_secrets(address))}")
    style = "bold green" if outcome is Outcome.SUCCEEDED else "bold red"
    console.print(f"[{style}]{_verdict(outcome, run, timeout_seconds)}[/]")
    if outcome in (Outcome.TIMED_OUT, Outcome.SERVER_LOST, Outcome.INTERRUPTED):
        console.print(f"the run continues: decant follow {run_id}")
        console.print(f"to end it: decant stop {run_id}")
    return outcome


def _close_in_mlflow(run_id: str, console: Console) -> None:
    """What killed pods left RUNNING in the MLflow of MLFLOW_TRACKING_URI; without it nothing."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    try:
        lost = close_execution(open_client(), run_id)
    except Exception as error:  # the cluster's server may not be reached from here
        problem = escape(first_line(error))
        console.print(f"runs in MLflow that were left open were not closed: {problem}")
        return
    if lost:
        steps = ", ".join(run.info.run_name for run in lost)
        console.print(f"closed runs in MLflow that were left open: {escape(steps)}")


def _verdict(outcome: Outcome, run: Run | None, timeout_seconds: float | None) -> str:
    match outcome:
        case Outcome.TIMED_OUT:
            return f"not finished within {timeout_seconds:g} s" if timeout_seconds else "timed out"
        case Outcome.SERVER_LOST:
            return f"the server has not answered for {OUTAGE_SECONDS / 60:g} minutes"
        case Outcome.INTERRUPTED:
            return "interrupted"
        case Outcome.CANCELED | Outcome.SKIPPED:
            ended = f"was {outcome.name.lower()}"
        case _:
            ended = outcome.name.lower()
    took = ""
    if run and run.created and run.finished:
        took = f" after {clock_time((run.finished - run.created).total_seconds())}"
    return f"the run {ended}{took}"
