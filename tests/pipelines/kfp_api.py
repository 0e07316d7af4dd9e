"""What a Kubeflow Pipelines API server does with a request, as its version 2.17 does it."""

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import kfp_server_api

from tests.pipelines.kfp_validation import (
    Refusal,
    check_parameters,
    no_other_fields,
    read_upload,
)

NEVER = "1970-01-01T00:00:00Z"  # what the server writes for what has not happened
WORKFLOW = "decant-distillation-x7k2p"
FINAL = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a run is like when it is requested for once more.

    Attributes:
        state: of the run.
        tasks: task to state.
        containers: task to the state of its container, where that is another than the task's.
        attempts: task with retries to how often its container was started.
        errors: task to the message that the server has of it.
        history: earlier states of the run.
    """

    state: str
    tasks: dict[str, str] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    history: tuple[str, ...] = ()


@dataclass
class KfpApi:
    """The server's store, and its calls.

    Attributes:
        frames: what every new run goes through; the last one stays.
        before_storing: called with the kind and the body of what a client is about to make.
        on_request: called when a client asks for a run, with how often it has requested before.
        recorded: a real server's answers by run id.
        manifests: the workflow of a run, which version 1 of the API has, by run id.
        forgets_case: a search by name, as MySQL does it.
    """

    multi_user: bool = False
    tag_name: str = "2.17.0"
    frames: tuple[Frame, ...] = (Frame(state="SUCCEEDED"),)
    before_storing: Callable[[str, dict[str, Any]], None] = lambda kind, body: None
    on_request: Callable[[int], None] = lambda times: None
    forgets_case: bool = False
    pipelines: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    packages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # by version id
    logs: dict[str, str] = field(default_factory=dict)  # by pod
    recorded: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    requested: dict[str, int] = field(default_factory=dict)  # by run id: how often

    def healthz(self) -> dict[str, Any]:
        return {
            "commit_sha": "unknown",
            "tag_name": self.tag_name,
            "multi_user": self.multi_user,
            "pipeline_store": "database",
        }

    # pipelines

    def create_pipeline(self, body: dict[str, Any]) -> dict[str, Any]:
        no_other_fields(body, kfp_server_api.V2beta1Pipeline)
        self.before_storing("pipeline", body)
        name = body.get("name") or body.get("display_name")
        namespace = self._namespace(body.get("namespace"))
        if not name:
            raise Refusal(400, "name is required")
        if self._where(self.pipelines, name=name, namespace=namespace):
            raise Refusal(409, f"Already exist error: pipeline {name}")
        made = {
            "pipeline_id": _id(),
            "name": name,
            "display_name": body.get("display_name") or name,
            "description": body.get("description", ""),
            "namespace": namespace,
            "created_at": _now(),
        }
        self.pipelines.append(made)
        return made

    def pipeline_by_name(self, name: str, query: dict[str, str]) -> dict[str, Any]:
        found = self._where(
            self.pipelines, name=name, namespace=self._namespace(query.get("namespace"))
        )
        if not found:
            raise Refusal(404, f"Pipeline {name} not found")
        return found[0]

    def upload(self, query: dict[str, str], body: bytes, content_type: str) -> dict[str, Any]:
        """A pipeline and its first version, of the same name."""
        documents = read_upload(body, content_type)
        made = self.create_pipeline(
            {"display_name": query["name"], "namespace": query.get("namespace", "")}
        )
        self._store_version(made["pipeline_id"], made["display_name"], documents)
        return made

    def upload_version(
        self, query: dict[str, str], body: bytes, content_type: str
    ) -> dict[str, Any]:
        documents = read_upload(body, content_type)
        self.before_storing("version", dict(query))
        pipeline_id = query.get("pipelineid", "")
        if not self._where(self.pipelines, pipeline_id=pipeline_id):
            raise Refusal(400, "Failed to create a pipeline version", is_upload=True)
        if self._where(self.versions, pipeline_id=pipeline_id, name=query["name"]):
            raise Refusal(409, "Failed to create a pipeline version", is_upload=True)
        return self._store_version(pipeline_id, query["name"], documents)

    def _store_version(
        self, pipeline_id: str, name: str, documents: list[dict[str, Any]]
    ) -> dict[str, Any]:
        if not 0 < len(name) <= 127:
            raise Refusal(400, "PipelineVersion.Name is too long", is_upload=True)
        made = {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": _id(),
            "name": name,
            "display_name": name,
            "created_at": _now(),
        }
        self.versions.append(made)
        self.packages[made["pipeline_version_id"]] = documents
        return made

    # experiments

    def create_experiment(self, body: dict[str, Any]) -> dict[str, Any]:
        no_other_fields(body, kfp_server_api.V2beta1Experiment)
        self.before_storing("experiment", body)
        namespace = self._namespace(body.get("namespace"))
        if self._where(self.experiments, display_name=body["display_name"], namespace=namespace):
            raise Refusal(409, f"Already exist error: experiment {body['display_name']}")
        made = {
            "experiment_id": _id(),
            "display_name": body["display_name"],
            "namespace": namespace,
            "created_at": _now(),
            "storage_state": "AVAILABLE",
        }
        self.experiments.append(made)
        return made

    # runs

    def create_run(self, body: dict[str, Any]) -> dict[str, Any]:
        no_other_fields(body, kfp_server_api.V2beta1Run)
        if not body.get("display_name"):
            raise Refusal(400, "The run name is empty. Please specify a valid name")
        self._check_job(body)
        made = {
            **body,
            "run_id": _id(),
            "created_at": _now(),
            "scheduled_at": _now(),
            "state": "PENDING",
            "frames": list(self.frames),
        }
        self.runs.append(made)
        return self._run(made)

    def version(self, pipeline_id: str, version_id: str) -> dict[str, Any]:
        """With the package: one document as it is, two under names."""
        if version_id not in self.packages:
            raise Refusal(404, f"PipelineVersion {version_id} not found")
        names = ("pipeline_spec", "platform_spec")
        documents = self.packages[version_id]
        return {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": version_id,
            "pipeline_spec": dict(zip(names, documents, strict=True))
            if len(documents) > 1
            else documents[0],
        }

    def run_of_version_1(self, run_id: str) -> dict[str, Any]:
        if run_id not in self.manifests:
            raise Refusal(404, f"Run {run_id} not found")
        manifest = json.dumps(self.manifests[run_id])
        return {"run": {"id": run_id}, "pipeline_runtime": {"workflow_manifest": manifest}}

    def run(self, run_id: str) -> dict[str, Any]:
        if run_id in self.recorded:
            return self.recorded[run_id]
        found = self._where(self.runs, run_id=run_id)
        if not found:
            raise Refusal(404, f"Run {run_id} not found")
        run = found[0]
        self.on_request(self.requested.get(run_id, 0))
        self.requested[run_id] = self.requested.get(run_id, 0) + 1
        frames: list[Frame] = run["frames"]
        frame = frames.pop(0) if len(frames) > 1 else frames[0]
        run["state"] = frame.state
        return self._run(run, frame)

    def terminate(self, run_id: str) -> dict[str, Any]:
        found = self._where(self.runs, run_id=run_id)
        if not found or found[0]["state"] in FINAL:
            raise Refusal(400, f"Failed to terminate a run {run_id}. Row not found")
        found[0]["frames"] = [Frame(state="CANCELING"), Frame(state="CANCELED")]
        return {}

    def _run(self, run: dict[str, Any], frame: Frame | None = None) -> dict[str, Any]:
        answer = {key: value for key, value in run.items() if key != "frames"}
        is_over = run["state"] in FINAL
        answer["finished_at"] = _now(90) if is_over else NEVER
        if frame:
            history = (*frame.history, frame.state)
            answer["state_history"] = [{"update_time": _now(), "state": state} for state in history]
            answer["run_details"] = {"task_details": self._nodes(frame)}
        return answer

    def _nodes(self, frame: Frame) -> list[dict[str, Any]]:
        """The nodes of an Argo workflow, as version 2.14 shows them.

        The workflow's own, the root, and three for every task: its driver, itself, its container;
        of a task with retries also the attempts at its container.
        """
        nodes = [
            node(WORKFLOW, frame.state, [node_id(".root-driver")]),
            node("root-driver", "SUCCEEDED", [node_id(".root")]),
            node("root", frame.state, []),
        ]
        above = nodes[-1]  # whose children the driver of the next task is one of
        for task, state in frame.tasks.items():
            path = f".root.{task}"
            above["child_tasks"].append({"pod_name": node_id(f"{path}-driver")})
            inside = frame.containers.get(task, state)
            nodes += [
                node(f"{task}-driver", "SUCCEEDED", [node_id(path)]),
                node(task, state, [node_id(f"{path}.executor")], frame.errors.get(task, "")),
                node("executor", inside, []),
            ]
            above = nodes[-1]
            if inside == "PENDING":
                above["start_time"] = nodes[-2]["start_time"]
            for attempt in range(frame.attempts.get(task, 0)):
                is_last = attempt == frame.attempts[task] - 1
                name = f"executor({attempt})"
                nodes.append(node(name, inside if is_last else "FAILED", []))
                nodes[-1]["start_time"] = _now(attempt)
                above["child_tasks"].append({"pod_name": node_id(f"{path}.{name}")})
            if frame.attempts.get(task):
                above["state"], above = state, nodes[-1]
        return nodes

    def log(self, pod: str) -> str | dict[str, Any]:
        """HTTP 200 in any case, as the server does."""
        if pod in self.logs:
            return self.logs[pod]
        return {"error_message": f"Failed to read logs from pod {pod}", "error_details": "..."}

    # schedules

    def create_schedule(self, body: dict[str, Any]) -> dict[str, Any]:
        no_other_fields(body, kfp_server_api.V2beta1RecurringRun)
        self._check_job(body)
        if not 1 <= int(body.get("max_concurrency", 0)) <= 10:
            raise Refusal(400, "Max concurrency must be at least 1 and at most 10")
        trigger = body["trigger"]
        cron = trigger.get("cron_schedule", {}).get("cron")
        interval = int(trigger.get("periodic_schedule", {}).get("interval_second", 0))
        if (cron is None) == (interval < 1) or (cron and len(cron.split()) not in (5, 6)):
            raise Refusal(400, "Schedule cron is not a supported format")
        made = {
            **body,
            "recurring_run_id": _id(),
            "created_at": _now(),
            "status": "ENABLED" if body["mode"] == "ENABLE" else "DISABLED",
        }
        self.schedules.append(made)
        return made

    def schedule(self, schedule_id: str) -> dict[str, Any]:
        found = self._where(self.schedules, recurring_run_id=schedule_id)
        if not found:
            raise Refusal(404, f"RecurringRun {schedule_id} not found")
        return found[0]

    def switch_schedule(self, schedule_id: str, on: bool) -> dict[str, Any]:
        found = self.schedule(schedule_id)
        found["mode"], found["status"] = ("ENABLE", "ENABLED") if on else ("DISABLE", "DISABLED")
        return {}

    def delete_schedule(self, schedule_id: str, query: dict[str, str]) -> dict[str, Any]:
        """Kubernetes deletes a schedule's workflows with it, unless they are to be orphans."""
        self.schedules.remove(self.schedule(schedule_id))
        if query.get("propagation_policy") != "ORPHAN":
            self.runs = [run for run in self.runs if run.get("recurring_run_id") != schedule_id]
        return {}

    # what the calls share

    def page(self, things: list[dict[str, Any]], field: str, query: dict[str, str]) -> Any:
        """One page of a list call: filtered, sorted, cut."""
        namespace = self._namespace(query.get("namespace"), is_list=True)
        if query.get("experiment_id"):
            things = self._where(things, experiment_id=query["experiment_id"])
        elif things is self.experiments:
            things = self._where(things, namespace=namespace)
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            if predicate["operation"] not in ("EQUALS", 1):
                raise Refusal(400, f"invalid predicate operation: {predicate['operation']}")
            if predicate["key"] not in ("display_name", "name"):
                raise Refusal(400, f"no support for filtering on field {predicate['key']}")
            name = predicate["stringValue"]
            things = [
                one
                for one in things
                if one["display_name"] == name
                or (self.forgets_case and one["display_name"].lower() == name.lower())
            ]
        match query.get("sort_by") or "created_at":
            case "created_at desc":
                things = things[::-1]
            case "created_at":
                pass
            case other:
                raise Refusal(400, f"Invalid sorting field: {other}")
        begin = int(base64.b64decode(query.get("page_token") or "MA=="))
        size = min(int(query.get("page_size") or 20), 200)
        shown = [self._run(one) if field == "runs" else one for one in things[begin : begin + size]]
        answer: dict[str, Any] = {field: shown, "total_size": len(things)}
        if begin + size < len(things):
            answer["next_page_token"] = base64.b64encode(str(begin + size).encode()).decode()
        return answer

    def _check_job(self, body: dict[str, Any]) -> None:
        """Experiment, version and parameters of a run or of a schedule."""
        if not self._where(self.experiments, experiment_id=body.get("experiment_id")):
            raise Refusal(400, "Experiment not found")
        if reference := body.get("pipeline_version_reference"):
            documents = self.packages.get(reference["pipeline_version_id"])
            if documents is None:
                raise Refusal(404, "PipelineVersion not found")
            specification = documents[0]
        else:
            specification = body["pipeline_spec"]
            specification = specification.get("pipeline_spec", specification)
        parameters = body.get("runtime_config", {}).get("parameters", {})
        check_parameters(specification, parameters)

    def _namespace(self, given: str | None, *, is_list: bool = False) -> str:
        if self.multi_user and not given and not is_list:
            raise Refusal(400, "Namespace cannot be empty in multi-user mode")
        if not self.multi_user and given:
            raise Refusal(400, "In single-user mode, a namespace cannot be given")
        return given or ""

    @staticmethod
    def _where(things: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
        return [one for one in things if all(one.get(key) == wanted[key] for key in wanted)]


def node(name: str, state: str, children: list[str], error: str = "") -> dict[str, Any]:
    """A task detail as the server makes it of a workflow's node."""
    made: dict[str, Any] = {
        "run_id": "",
        "task_id": _id(),
        "display_name": name,
        "create_time": _now(),
        "start_time": NEVER if state == "PENDING" else _now(),
        "end_time": _now(63) if state in FINAL else "0001-01-01T00:00:00Z",
        "state": state,
        "child_tasks": [{"pod_name": child} for child in children],
    }
    if error:
        made["error"] = {"code": 2, "message": error}
    return made


def node_id(path: str) -> str:
    """Argo's id of a node: its whole name, hashed (FNV-1a)."""
    state = 0x811C9DC5
    for byte in f"{WORKFLOW}{path}".encode():
        state = ((state ^ byte) * 0x01000193) % 2**32
    return f"{WORKFLOW}-{state}"


def pod_of(task: str, attempt: int | None = None) -> str:
    """The pod of a task's container; with a number, of a task with retries."""
    path = f".root.{task}.executor" + ("" if attempt is None else f"({attempt})")
    template = "system-container-impl" if attempt is None else "retry-system-container-impl"
    return node_id(path).replace(WORKFLOW, f"{WORKFLOW}-{template}")


def _id() -> str:
    return str(uuid.uuid4())


def _now(later_seconds: int = 0) -> str:
    moment = datetime(2026, 11, 1, 10, tzinfo=UTC) + timedelta(seconds=later_seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
