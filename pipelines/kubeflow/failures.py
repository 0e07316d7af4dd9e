"""Why a run failed: the tasks that did, the server's messages, and the end of their log.

The API of version 2 has no logs. The older endpoint of the same server still returns them, and so
does the web server in front of it; both only while the pod, or an archive of its log, exists.
"""

import json
from collections.abc import Iterator
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape

from decant.runtime.secrets import without_secrets
from pipelines.kubeflow.api_errors import ClusterError, printable
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.states import Run, Task

LOG_PATHS = (
    "/apis/v1alpha1/runs/{run}/nodes/{pod}/log",
    "/apis/v2beta1/runs/{run}/nodes/{pod}/log",
    "/k8s/pod/logs?podname={pod}&runid={run}&podnamespace={namespace}",
)
LOG_LINES = 20
_LOG_BYTES = 64 * 1024


def show_failure(connection: Connection, run: Run, console: Console) -> None:
    """Print the run's error and, for each failed task, its error and the end of its log."""
    if run.error:
        console.print(f"[bold red]run:[/] {escape(run.error)}")
    for task in run.failed_tasks:
        error = task.error or "failed; the server has no message"
        console.print(f"[bold red]{escape(task.name)}:[/] {escape(error)}")
        lines = list(last_lines(connection, run.run_id, task))
        if lines:
            console.print(f"  the last {len(lines)} lines of its log:")
            for line in lines:
                console.print(f"  [dim]|[/] {escape(line)}")
        else:
            console.print(f"  its log: {escape(how_to_get_the_log(connection, run.run_id, task))}")
    if not run.failed_tasks:
        console.print(f"no task is named; see {escape(connection.run_link(run.run_id))}")


def last_lines(connection: Connection, run_id: str, task: Task) -> Iterator[str]:
    """The end of the task's log, without secrets; nothing when the server does not have it."""
    for pod in task.pods:
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
            if not text.strip() or _is_error(text):
                continue
            shown = printable(without_secrets(text, connection.credentials.secrets()))
            yield from shown.rstrip().splitlines()[-LOG_LINES:]
            return


def how_to_get_the_log(connection: Connection, run_id: str, task: Task) -> str:
    pod = task.pods[-1] if task.pods else "POD"
    namespace = connection.namespace or "kubeflow"
    return (
        f"{connection.run_link(run_id)}, or kubectl logs -n {namespace} {pod} -c main"
        f"{'' if task.pods else f' (kubectl get pods -n {namespace} -l pipeline/runid={run_id})'}"
    )


def _is_error(text: str) -> bool:
    """The log endpoint may answer HTTP 200 and then report that it has no log."""
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and "error_message" in content
