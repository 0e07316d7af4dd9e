"""As much of a cluster as a TrainJob needs, on loopback: the API, and pods that are processes.

It allows what the shipped Role allows and no more, checks what Kubeflow Trainer's admission checks,
gives every node torchrun's variables, keeps each line of a pod's output with its time, and ends
pods with SIGTERM.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT

NAMESPACE = "team-a"
TOKEN = "token-of-the-service-account"
RESERVED = {"PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR"}
_JOBS = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{NAMESPACE}/trainjobs"
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


class Pod:
    """A process, what it printed, and how Kubernetes would tell of it."""

    def __init__(self, name: str, index: int, command: list[str], env: dict[str, str]) -> None:
        self.name, self.index = name, index
        self.lines: list[tuple[str, str]] = []
        self.finished = ""
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((now(), line.rstrip("\n")))
        self.process.wait()
        self.finished = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def phase(self) -> str:
        if not self.finished:
            return "Running"
        return "Failed" if self.process.returncode else "Succeeded"

    def as_json(self) -> dict[str, Any]:
        state: dict[str, Any] = {"running": {}}
        if self.finished:
            code = self.process.returncode
            state = {
                "terminated": {
                    "exitCode": 128 - code if code < 0 else code,
                    "reason": "Error" if code else "Completed",
                    "finishedAt": self.finished,
                }
            }
        return {
            "metadata": {
                "name": self.name,
                "labels": {"batch.kubernetes.io/job-completion-index": str(self.index)},
            },
            "status": {
                "phase": self.phase,
                "containerStatuses": [
                    {
                        "name": "node",
                        "state": state,
                        "image": "",
                        "imageID": "",
                        "ready": not self.finished,
                        "restartCount": 0,
                    }
                ],
            },
        }


@dataclass
class Cluster:
    """The running cluster.

    Attributes:
        posted: manifests, in order.
        deleted: names, in order.
        requests: "METHOD path" of every request.
        faults: (pattern, status, times): what is answered instead, and how often.
        command: what a node runs in place of the manifest's command.
        pending: whether there is no room, so that pods wait for ever.
        jobs: name → its pods.
        going: names that are being deleted.
    """

    posted: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    faults: list[list[Any]] = field(default_factory=list)
    command: Callable[[list[str], int], list[str]] = lambda words, rank: [
        sys.executable,
        *words[1:],
    ]
    pending: bool = False
    jobs: dict[str, list[Pod]] = field(default_factory=dict)
    going: set[str] = field(default_factory=set)
    address: str = ""

    def answer(self, method: str, url: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(url)
        path, query = parts.path, parse_qs(parts.query)
        self.requests.append(f"{method} {path}")
        if not _is_allowed(method, path):
            return 403, {"message": f"the service account may not {method} {path}"}
        for fault in self.faults:
            if fault[2] and re.search(fault[0], self.requests[-1]):
                fault[2] -= 1
                return fault[1], {"message": f"{path}: refused by the test"}
        match method, path.removeprefix(_JOBS):
            case "POST", "":
                return self.create(json.loads(body))
            case "GET", name if path.startswith(f"{_JOBS}/"):
                return self.status(name[1:])
            case "DELETE", name if path.startswith(f"{_JOBS}/"):
                assert query["propagationPolicy"] == ["Foreground"]
                return self.delete(name[1:])
        if path == _PODS:
            name = query["labelSelector"][0].removeprefix("jobset.sigs.k8s.io/jobset-name=")
            return 200, {"items": self.pods(name)}
        if found := re.fullmatch(rf"{_PODS}/([^/]+)/log", path):
            return self.log(found[1], query)
        return 404, {"message": f"no {path}"}

    def create(self, manifest: dict[str, Any]) -> tuple[int, Any]:
        name = manifest["metadata"]["name"]
        if name in self.jobs:
            return 409, {"message": f"{name} already exists"}
        if problem := _refusal(manifest):
            return 422, {"message": f"admission webhook denied the request: {problem}"}
        self.posted.append(manifest)
        self.jobs[name] = []
        if not self.pending:
            self.jobs[name] += self._pods(name, manifest["spec"]["trainer"])
        return 201, manifest

    def _pods(self, name: str, trainer: dict[str, Any]) -> Iterator[Pod]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        given = {one["name"]: one["value"] for one in trainer["env"] if "value" in one}
        for rank in range(trainer["numNodes"]):
            torchrun = {
                "PET_NNODES": str(trainer["numNodes"]),
                "PET_NPROC_PER_NODE": str(trainer["numProcPerNode"]),
                "PET_NODE_RANK": str(rank),
                "PET_MASTER_ADDR": "127.0.0.1",
                "PET_MASTER_PORT": str(port),
            }
            kept = {key: value for key, value in os.environ.items() if key != "DECANT_TRAIN_JOB"}
            command = self.command(trainer["command"], rank)
            yield Pod(f"{name}-node-0-{rank}-x7k2p", rank, command, kept | given | torchrun)

    def status(self, name: str) -> tuple[int, Any]:
        if name not in self.jobs:
            return 404, {"message": f"trainjobs {name} not found"}
        pods, conditions = self.jobs[name], []
        if pods and all(pod.phase == "Succeeded" for pod in pods):
            conditions = [{"type": "Complete", "status": "True", "reason": "JobsCompleted"}]
        metadata = {"name": name} | ({"deletionTimestamp": now()} if name in self.going else {})
        return 200, {"metadata": metadata, "status": {"conditions": conditions}}

    def pods(self, name: str) -> list[dict[str, Any]]:
        if self.pending and name in self.jobs:
            unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            waiting = {"phase": "Pending", "conditions": [unplaced]}
            return [{"metadata": {"name": f"{name}-node-0-0-x"}, "status": waiting}]
        return [pod.as_json() for pod in self.jobs.get(name, [])]

    def log(self, name: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        assert query["container"] == ["node"] and query["timestamps"] == ["True"]
        pod = next((pod for pods in self.jobs.values() for pod in pods if pod.name == name), None)
        if pod is None:
            return 404, {"message": f"no pod {name}"}
        lines = list(pod.lines)
        if limit := query.get("tailLines"):
            lines = lines[-int(limit[0]) :]
        return 200, "".join(f"{stamp} {line}\n" for stamp, line in lines)

    def delete(self, name: str) -> tuple[int, Any]:
        if name not in self.jobs:
            return 404, {"message": f"trainjobs {name} not found"}
        self.deleted.append(name)
        self.end(name)
        return 200, {"status": "Success"}

    def end(self, name: str) -> None:
        self.going.add(name)
        for pod in self.jobs[name]:
            if pod.process.poll() is None:
                pod.process.send_signal(signal.SIGTERM)
            pod.reader.join(60)
        del self.jobs[name]
        self.going.discard(name)


def _is_allowed(method: str, path: str) -> bool:
    """Whether the Role that we ship allows it; roles are for one namespace."""
    found = re.fullmatch(
        r"/(?:api|apis/(?P<group>[^/]+))/[^/]+/namespaces/(?P<namespace>[^/]+)/(?P<kind>[^/]+)"
        r"(?:/(?P<name>[^/]+)(?:/(?P<part>[^/]+))?)?",
        path,
    )
    if not found or found["namespace"] != NAMESPACE:
        return False
    verbs = {"POST": "create", "DELETE": "delete", "GET": "get" if found["name"] else "list"}
    resource = f"{found['kind']}/{found['part']}" if found["part"] else found["kind"]
    return any(
        (found["group"] or "") in rule["apiGroups"]
        and resource in rule["resources"]
        and verbs[method] in rule["verbs"]
        for rule in shipped("Role")["rules"]
    )


@cache
def shipped(kind: str) -> Any:
    """The document of that kind in the file that users apply."""
    file = PROJECT / "pipelines" / "kubeflow" / "train-jobs.yaml"
    documents = YAML(typ="safe").load_all(file.read_text("utf-8"))
    return next(one for one in documents if one["kind"] == kind)


def _refusal(manifest: dict[str, Any]) -> str:
    """What Kubeflow Trainer's webhook and the CRD refuse, of what we could do wrong."""
    spec, name = manifest["spec"], manifest["metadata"]["name"]
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) or len(name) > 50:
        return f"bad name {name}"
    if RESERVED & {one["name"] for one in spec["trainer"]["env"]}:
        return "must not have reserved envs"
    for patch in spec["runtimePatches"]:
        if not re.fullmatch(r"[a-z0-9.-]+/[\w.-]+", patch["manager"]):
            return "the manager must be a domain-prefixed path"
        for job in patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]:
            containers = job["template"]["spec"]["template"]["spec"]["containers"]
            if job["name"] != "node" or {one["name"] for one in containers} != {"node"}:
                return "no such job or container in the runtime"
            if any("env" in one for one in containers):
                return "must not have envs for the node container"
    return ""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Cluster, Path]]:
    """The cluster, and a kubeconfig that leads to it."""
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = 401, {"message": "Unauthorized"}
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                status, content = cluster.answer(self.command, self.path, body)
            is_text = isinstance(content, str)
            payload = (content if is_text else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if is_text else "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_POST = do_DELETE = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cluster.address = f"http://127.0.0.1:{server.server_port}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [
            {"name": "c", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}
        ],
        "clusters": [{"name": "c", "cluster": {"server": cluster.address}}],
        "users": [{"name": "u", "user": {"token": TOKEN}}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config), "utf-8")
    try:
        yield cluster, file
    finally:
        for name in list(cluster.jobs):
            cluster.end(name)
        server.shutdown()
        server.server_close()
