"""Why a run failed: of each task that did, the cause in one line, and its log.

The API of version 2 has no logs. The older endpoint of the same server still returns them, and so
does the web server in front of it; both only while the pod, or an archive of its log, exists.
"""

import json
from collections.abc import Iterable
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape

from decant.runtime.secrets import without_secrets
from pipelines.kubeflow.api_errors import ClusterError, printable
from pipelines.kubeflow.causes import cause_of
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.states import Run, Task
from pipelines.kubeflow.step_log import StepLog, read_step_log, shortened
from pipelines.kubeflow.task_needs import Cluster

LOG_PATHS = (
    "/apis/v1alpha1/runs/{run}/nodes/{pod}/log",
    "/apis/v2beta1/runs/{run}/nodes/{pod}/log",
    "/k8s/pod/logs?podname={pod}&runid={run}&podnamespace={namespace}",
)
LOG_LINES = 20
_LOG_BYTES = 64 * 1024


def show_failure(cluster: Cluster, run: Run, console: Console, *, whole_log: bool = False) -> None:
    """Print the run's error and, for each failed task, the cause and the end of the step's log.

    Args:
        whole_log: all of the pod's log instead, with what others wrote into it.
    """
    if run.error:
        error = without_secrets(run.error, cluster.connection.credentials.secrets())
        console.print(f"[bold red]run:[/] {escape(error)}")
    for task in run.failed_tasks:
        _show_task(cluster, run, task, console, whole_log)
    if not run.failed_tasks:
        link = cluster.connection.run_link(run.run_id)
        console.print(f"no task is named; see {escape(link)}")


def how_to_get_the_log(connection: Connection, run_id: str, pod: str) -> str:
    """Args: pod: its name, empty if unknown."""
    namespace = connection.namespace or "kubeflow"
    pods = f" (kubectl get pods -n {namespace} -l pipeline/runid={run_id})"
    return (
        f"{connection.run_link(run_id)}, or kubectl logs -n {namespace} {pod or 'POD'} -c main"
        f"{'' if pod else pods}"
    )


def _show_task(cluster: Cluster, run: Run, task: Task, console: Console, whole_log: bool) -> None:
    connection, needs = cluster.connection, cluster.needs(run, task)
    secrets = connection.credentials.secrets()
    pods = dict.fromkeys(filter(None, (needs.pod(task), *task.pods)))
    address, text = _find_log(connection, run.run_id, pods)
    log = read_step_log(text) if text else None
    message = without_secrets(task.error, secrets)
    if not message and not (log and log.error):
        message = cluster.message(run, task)
    problem, *hint = cause_of(task, log, message, needs)
    console.print(f"[bold red]{escape(task.name)}:[/] {escape(shortened(problem))}")
    for line in hint:
        console.print(escape(shortened(line)))
    if log is None:
        how = how_to_get_the_log(connection, run.run_id, needs.pod(task))
        console.print(f"  its log: {escape(how)}")
    elif whole_log:
        _print_whole_log(connection, address, console)
    else:
        _print_end(log, run, console)


def _find_log(connection: Connection, run_id: str, pods: Iterable[str]) -> tuple[str, str]:
    """Where the server has the log of the first of the pods that has one, and its end without
    secrets; else empty texts.
    """
    for pod in pods:
        for path in LOG_PATHS:
            address = path.format(
                run=quote(run_id, safe=""),
                pod=quote(pod, safe=""),
                namespace=quote(connection.namespace, safe=""),
            )
            try:
                text = connection.client.text(address, _LOG_BYTES)
            except ClusterError:
                continue
            if text.strip() and not _is_error(text):
                if len(text.encode()) >= _LOG_BYTES:  # the first line lacks its beginning
                    text = text.partition("\n")[2] or text
                return address, without_secrets(text, connection.credentials.secrets())
    return "", ""


def _print_end(log: StepLog, run: Run, console: Console) -> None:
    lines = log.lines[-LOG_LINES:]
    if not lines:
        return
    which = f"the last {len(lines)} lines" if len(lines) > 1 else "the last line"
    console.print(f"  {which} of its log (all of it: decant follow {run.run_id} --log):")
    for line in lines:
        console.print(f"  [dim]|[/] {escape(shortened(line))}")


def _print_whole_log(connection: Connection, address: str, console: Console) -> None:
    console.print("  its log:")
    secrets = connection.credentials.secrets()
    try:
        for block in connection.client.blocks(address):
            lines = printable(without_secrets(block, secrets)).split("\n")
            console.out("\n".join(f"  | {line}" for line in lines), highlight=False)
    except ClusterError as error:
        console.print(f"  the log ends here: {escape(error.problem)}")


def _is_error(text: str) -> bool:
    """The log endpoint may answer HTTP 200 and then report that it has no log."""
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and "error_message" in content
