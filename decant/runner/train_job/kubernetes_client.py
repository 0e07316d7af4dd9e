"""TrainJobs of this task's namespace, through the Kubernetes API.

The kubeflow SDK opens the connection. Its get_job() is not used: it needs rights on the whole
cluster (it reads the runtime again in each call), lacks the reasons of pods, and fails for limits
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
_RIGHTS = "give the task's service account the role in pipelines/kubeflow/train-jobs.yaml"


class Unreachable(Exception):
    """The API does not answer now; a later request can succeed."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """The state of a TrainJob.

    Attributes:
        ended: "Complete", "Failed", or empty while it runs.
        message: why it failed.
        deleting: whether it is being deleted.
    """

    ended: str = ""
    message: str = ""
    deleting: bool = False


@dataclass(frozen=True, kw_only=True, order=True)
class Node:
    """A pod of the job.

    Attributes:
        number: from 0; the output of the first is the step's.
        phase: Pending, Running, Succeeded, Failed, as Kubernetes calls it.
        reason: why it waits or failed, such as Unschedulable or OOMKilled.
        code: exit code of its process; None while it runs.
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
        logging.getLogger("kubeflow").setLevel(logging.ERROR)  # it warns of its unknown version
        from kubeflow.trainer import TrainerClient

        try:
            backend = TrainerClient().backend
        except (ConfigException, OSError) as error:
            raise UserError(
                f"the cluster's API cannot be used: {error}",
                code="cluster-unavailable",
                hint="a TrainJob is started from within a cluster, or with a KUBECONFIG",
            ) from None
        self._objects, self._core = backend.custom_api, backend.core_api
        self.namespace: str = backend.namespace

    def create(self, manifest: Mapping[str, Any]) -> None:
        """An existing job of the same name is left as it is."""
        with _api_request("create a TrainJob", self.namespace):
            try:
                self._objects.create_namespaced_custom_object(
                    *_API, self.namespace, "trainjobs", dict(manifest), _request_timeout=_SECONDS
                )
            except ApiException as error:
                if error.status == 404:
                    raise UserError(
                        "the cluster has no TrainJobs",
                        code="trainer-missing",
                        hint="install Kubeflow Trainer 2.2",
                    ) from None
                if error.status != 409:
                    raise

    def find(self, name: str) -> Job | None:
        """The TrainJob of this name, None where there is none."""
        with _api_request(f"look for the TrainJob {name}", self.namespace):
            try:
                found = self._objects.get_namespaced_custom_object(
                    *_API, self.namespace, "trainjobs", name, _request_timeout=_SECONDS
                )
            except ApiException as error:
                if error.status == 404:
                    return None
                raise
        deleting = "deletionTimestamp" in found["metadata"]
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                message = f"{condition.get('reason', '')}: {condition.get('message', '')}"
                return Job(ended=condition["type"], message=message, deleting=deleting)
        return Job(deleting=deleting)

    def nodes(self, name: str) -> list[Node]:
        """The existing ones, by number; where a pod was replaced, the old one too."""
        with _api_request("list pods", self.namespace):
            pods = self._core.list_namespaced_pod(
                self.namespace,
                label_selector=f"jobset.sigs.k8s.io/jobset-name={name}",
                _request_timeout=_SECONDS,
            ).items
        return sorted(map(_node, pods))

    def log(
        self, pod: str, *, seconds: int | None = None, lines: int | None = None
    ) -> list[tuple[str, str]]:
        """(time stamp, line): of the last `seconds`, or the last `lines`; else all."""
        limits = {"since_seconds": seconds, "tail_lines": lines}
        with _api_request("read the log of a pod", self.namespace):
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
        """Delete it with its pods and wait up to `seconds`; returns whether all of it is gone."""
        with _api_request("delete a TrainJob", self.namespace):
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
def _api_request(what: str, namespace: str) -> Iterator[None]:
    try:
        yield
    except HTTPError as error:
        raise Unreachable(f"cannot {what}: {error}") from None
    except ApiException as error:
        if error.status in (0, 429) or error.status >= 500:
            raise Unreachable(f"cannot {what}: {error.status} {error.reason}") from None
        hint = _RIGHTS if error.status in (401, 403) else ""
        raise UserError(
            f"cannot {what} in namespace {namespace}: {_reason_of(error)}",
            code="cluster-refused",
            hint=hint,
        ) from None


def _reason_of(error: ApiException) -> str:
    """The API's message, else the HTTP status."""
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
