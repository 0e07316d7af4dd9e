"""What a task asks of the cluster, by its package; what the workflow engine said about its pod."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from decant.runtime.secrets import without_secrets
from pipelines.kubeflow.api_errors import ClusterError, one_line
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.states import Run, Task

# Version 2 of the API leaves out the engine's messages; version 1 has its whole workflow.
WORKFLOW_PATH = "/apis/v1beta1/runs/{run}"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Of one task. Empty or None is what its package does not set, or could not be read.

    Attributes:
        requests: what a node must have free, such as "2 CPU" and "3Gi of memory".
        memory_limit: such as "6Gi".
        timeout_seconds: for each attempt.
        has_retries: None where the package could not be read.
    """

    requests: tuple[str, ...] = ()
    memory_limit: str = ""
    timeout_seconds: int | None = None
    has_retries: bool | None = None

    def pod(self, task: Task) -> str:
        """The name of the task's last pod; empty where that cannot be known."""
        if len(task.pods) == 1:
            return task.pods[0]
        if self.has_retries is None:
            return ""
        fitting = [pod for pod in task.pods if ("-retry-" in pod) == self.has_retries]
        return fitting[0] if len(fitting) == 1 else ""


class Cluster:
    """Facts about a run's tasks that its own answer lacks, each asked for once.

    Nothing here raises: a server that does not have a fact, or answers in another form, leaves it
    empty.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._packages: dict[tuple[str, str], dict[str, Any]] = {}

    def needs(self, run: Run, task: Task) -> Needs:
        if run.pipeline not in self._packages:
            self._packages[run.pipeline] = self._package(run)
        try:
            return _needs(self._packages[run.pipeline], task.name)
        except (AttributeError, KeyError, TypeError, ValueError):
            return Needs()

    def waits_for(self, run: Run, task: Task) -> str:
        """What the task's pod waits for, as far as the package says it."""
        if task.started is None:
            return "a node for its driver"
        requests = self.needs(run, task).requests
        return f"a node with {' and '.join(requests)}" if requests else "a node"

    def look_at(self, run: Run, task: Task) -> str:
        """What shows why a pod waits: the engine's message, and the command for the rest."""
        namespace = self.connection.namespace or "kubeflow"
        pod = self.needs(run, task).pod(task) or f"-l pipeline/runid={run.run_id}"
        message = self.message(run, task)
        return f"{message}{'; ' if message else ''}kubectl describe pod -n {namespace} {pod}"

    def message(self, run: Run, task: Task) -> str:
        """What the engine last said about the task's pod, such as `OOMKilled (exit code 137)`."""
        numbers = {pod.rpartition("-")[2] for pod in task.pods}
        try:
            nodes = self._workflow(run)["status"]["nodes"].items()
            said = [
                str(node["message"])
                for name, node in nodes
                if node.get("message") and name.rpartition("-")[2] in numbers
            ]
        except (AttributeError, ClusterError, KeyError, TypeError, ValueError):
            return ""
        known = self.connection.credentials.secrets()
        return one_line(without_secrets(said[-1], known)) if said else ""

    def _package(self, run: Run) -> dict[str, Any]:
        pipeline, version = run.pipeline
        if not version:
            return {}
        try:
            answer = self.connection.pipelines.pipeline_service_get_pipeline_version(
                pipeline, version
            )
        except ClusterError:
            return {}
        return answer.pipeline_spec if isinstance(answer.pipeline_spec, dict) else {}

    def _workflow(self, run: Run) -> Any:
        client = self.connection.client
        url = client.configuration.host + WORKFLOW_PATH.format(run=quote(run.run_id, safe=""))
        answer = json.loads(client.request("GET", url).data)
        return json.loads(answer["pipeline_runtime"]["workflow_manifest"])


def _needs(package: dict[str, Any], task: str) -> Needs:
    """From a package of one document, or of two under the names that the server gives them."""
    pipeline = package.get("pipeline_spec", package)
    spec = pipeline["root"]["dag"]["tasks"][task]
    executor = pipeline["components"][spec["componentRef"]["name"]]["executorLabel"]
    container = pipeline["deploymentSpec"]["executors"][executor]["container"]
    platforms = package.get("platform_spec", {}).get("platforms", {})
    pods = platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    pod = pods.get(executor, {})
    timeout = pod.get("activeDeadlineSeconds")
    return Needs(
        requests=tuple(_requests(container.get("resources", {}), pod)),
        memory_limit=str(container.get("resources", {}).get("resourceMemoryLimit", "")),
        timeout_seconds=int(timeout) if timeout else None,
        has_retries="retryPolicy" in spec,
    )


def _requests(resources: dict[str, Any], pod: dict[str, Any]) -> list[str]:
    """A limit alone is the request too."""
    asked = []
    for kind, unit in (("Cpu", "CPU"), ("Memory", "of memory")):
        if quantity := resources.get(
            f"resource{kind}Request", resources.get(f"resource{kind}Limit")
        ):
            asked.append(f"{quantity} {unit}")
    accelerator = resources.get("accelerator", {})
    if count := accelerator.get("resourceCount", accelerator.get("count")):
        asked.append(f"{count} {accelerator.get('resourceType', accelerator.get('type', 'GPU'))}")
    labels = pod.get("nodeSelector", {}).get("labels", {})
    return asked + [f"the label {name}={value}" for name, value in labels.items()]
