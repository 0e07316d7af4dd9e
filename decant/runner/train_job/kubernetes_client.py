"""TrainJobs of this task's namespace, asked for through the Kubernetes API.

The kubeflow SDK brings the connection. Its get_job() is left aside: it needs rights on the whole
cluster (to read the runtime again at every look), knows no pod's reason, and fails for limits
without CPU.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes.client import ApiException, V1Pod
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from decant.runtime.errors import UserError

CONTAINER = "node"  # the runtime's name of it
_API = ("trainer.kubeflow.org", "v1alpha1")
_SECONDS = (10, 60)  # to connect, to answer
_RIGHTS = "give the task's service account what pipelines/kubeflow/train-jobs.yaml gives it"


class Unreachable(Exception):
    """The API does not answer now; it may later."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A TrainJob as it stands.

    Attributes:
        ended: "Complete", "Failed", or empty while it is under way.
        message: why it failed.
        going: whether it is being deleted.
    """

    ended: str = ""
    message: str = ""
    going: bool = False


@dataclass(frozen=True, kw_only=True, order=True)
class Node:
    """A pod of the job.

    Attributes:
        number: from 0; the first one's output is the step's.
        phase: Pending, Running, Succeeded, Failed, as Kubernetes calls it.
        reason: why it waits or has failed, such as Unschedulable or OOMKilled.
        code: of its process when that has ended, else None.
        finished: when it ended, sortable; empty before.
    """

    number: int
    pod: str
    phase: str
    reason: str = ""
    code: int | None = None
    finished: str = ""


class TrainJobs:
    """The namespace's TrainJobs.

    All methods raise Unreachable when the API does not answer, and UserError when it refuses.
    """

    def __init__(self) -> None:
        logging.getLogger("kubeflow").setLevel(logging.ERROR)  # it may not read its own version
        from kubeflow.trainer import TrainerClient

        try:
            backend = TrainerClient().backend
        except (ConfigException, OSError) as error:
            raise UserError(
                f"no way to the cluster's API: {error}",
                code="cluster-unavailable",
                hint="a TrainJob is started from within a cluster, or with a KUBECONFIG",
            ) from None
        self._objects, self._core = backend.custom_api, backend.core_api
        self.namespace: str = backend.namespace

    def create(self, manifest: Mapping[str, Any]) -> None:
        """One that is there already, under the same name, is left as it is."""
        with _asking("create a TrainJob", self.namespace):
            try:
                self._objects.create_namespaced_custom_object(
                    *_API, self.namespace, "trainjobs", dict(manifest), _request_timeout=_SECONDS
                )
            except ApiException as error:
                if error.status == 404:
                    raise UserError(
                        "the cluster knows no TrainJob",
                        code="trainer-missing",
                        hint="install Kubeflow Trainer 2.2",
                    ) from None
                if error.status != 409:
                    raise

    def find(self, name: str) -> Job | None:
        with _asking(f"look for the TrainJob {name}", self.namespace):
            try:
                found = self._objects.get_namespaced_custom_object(
                    *_API, self.namespace, "trainjobs", name, _request_timeout=_SECONDS
                )
            except ApiException as error:
                if error.status == 404:
                    return None
                raise
        going = "deletionTimestamp" in found["metadata"]
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                message = f"{condition.get('reason', '')}: {condition.get('message', '')}"
                return Job(ended=condition["type"], message=message, going=going)
        return Job(going=going)

    def nodes(self, name: str) -> list[Node]:
        """Those that there are, by number; where a pod was replaced, the old one too."""
        with _asking("list pods", self.namespace):
            pods = self._core.list_namespaced_pod(
                self.namespace,
                label_selector=f"jobset.sigs.k8s.io/jobset-name={name}",
                _request_timeout=_SECONDS,
            ).items
        return sorted(map(_node, pods))

    def log(
        self, pod: str, *, seconds: int | None = None, lines: int | None = None
    ) -> list[tuple[str, str]]:
        """(time stamp, line): of the last so many seconds, or the last so many lines; else all."""
        limits = {"since_seconds": seconds, "tail_lines": lines}
        with _asking("read the log of a pod", self.namespace):
            try:
                text = self._core.read_namespaced_pod_log(
                    pod,
                    self.namespace,
                    container=CONTAINER,
                    timestamps=True,
                    **{key: value for key, value in limits.items() if value},
                    _request_timeout=_SECONDS,
                )
            except ApiException as error:
                if error.status in (400, 404):  # not yet started, or gone
                    return []
                raise
        found = (line.partition(" ") for line in text.splitlines())
        return [(stamp, line) for stamp, _, line in found]

    def delete(self, name: str, *, seconds: float) -> bool:
        """Delete it with its pods, and wait so long; returns whether all of it is gone."""
        with _asking("delete a TrainJob", self.namespace):
            try:
                self._objects.delete_namespaced_custom_object(
                    *_API,
                    self.namespace,
                    "trainjobs",
                    name,
                    propagation_policy="Foreground",
                    _request_timeout=_SECONDS,
                )
            except ApiException as error:
                if error.status == 404:
                    return True
                raise
        end = time.monotonic() + seconds
        while self.find(name) is not None:
            if time.monotonic() > end:
                return False
            time.sleep(min(1.0, seconds / 10))
        return True


@contextmanager
def _asking(what: str, namespace: str) -> Iterator[None]:
    try:
        yield
    except HTTPError as error:
        raise Unreachable(f"cannot {what}: {error}") from None
    except ApiException as error:
        if error.status in (0, 429) or error.status >= 500:
            raise Unreachable(f"cannot {what}: {error.status} {error.reason}") from None
        hint = _RIGHTS if error.status in (401, 403) else ""
        raise UserError(
            f"may not {what} in namespace {namespace}: {_told(error)}",
            code="cluster-refused",
            hint=hint,
        ) from None


def _told(error: ApiException) -> str:
    """What the API says of it, else the HTTP status."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, TypeError, KeyError):
        return f"{error.status} {error.reason}"


def _node(pod: V1Pod) -> Node:
    index = (pod.metadata.labels or {}).get("batch.kubernetes.io/job-completion-index", "0")
    status = pod.status
    states = [one.state for one in status.container_statuses or [] if one.name == CONTAINER]
    ended = states[0].terminated if states else None
    waiting = states[0].waiting if states else None
    unmet = [one for one in status.conditions or [] if one.status == "False"]
    causes = [status, ended, waiting, *unmet] if status.phase in ("Pending", "Failed") else []
    return Node(
        number=int(index),
        pod=pod.metadata.name,
        phase=status.phase,
        reason=next((one.reason for one in causes if one is not None and one.reason), ""),
        code=ended.exit_code if ended else None,
        finished=ended.finished_at.isoformat() if ended and ended.finished_at else "",
    )
