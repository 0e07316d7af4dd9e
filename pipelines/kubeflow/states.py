"""A run and its tasks as the server reports them, without the workflow engine's own nodes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from decant.runtime.steps import STEPS
from pipelines.kubeflow.api_errors import one_line
from pipelines.kubeflow.argo_nodes import (
    CONTAINER,
    ROOT,
    Workflow,
    children_of,
    find_workflow,
    is_driver,
    split_name,
    task_of,
)

FINAL_STATES = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
_NO_STATE = "RUNTIME_STATE_UNSPECIFIED"
_ORDER = {step.replace("_", "-"): place for place, step in enumerate(STEPS)}
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of the pipeline.

    Attributes:
        state: the server's word; PENDING also while its pod waits for a node.
        error: the server's message, often empty: the reason is then only in the log.
        started: None also while its driver waits for a node.
        waits_since: when its pod began to wait for a node; None when it does not wait.
        attempts: how many there were so far.
        pods: what the pod of the last attempt may be called.
    """

    name: str
    state: str
    error: str
    started: datetime | None
    ended: datetime | None
    waits_since: datetime | None = None
    attempts: int = 1
    pods: tuple[str, ...] = ()

    def seconds(self, now: datetime) -> float | None:
        if self.started is None:
            return None
        return max(0.0, ((self.ended or now) - self.started).total_seconds())

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of a pipeline.

    Attributes:
        pipeline: ids of the pipeline and of its version, empty for a run without one.
        links: names and addresses of pages that the server's plugins made for it.
    """

    run_id: str
    name: str
    state: str
    error: str
    created: datetime | None
    finished: datetime | None
    tasks: tuple[Task, ...]
    pipeline: tuple[str, str] = ("", "")
    links: tuple[tuple[str, str], ...] = ()

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def failed_tasks(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.state == "FAILED")


def read_run(answer: Any) -> Run:
    """From kfp's `V2beta1Run`."""
    details = (answer.run_details.task_details if answer.run_details else None) or []
    version = answer.pipeline_version_reference
    return Run(
        run_id=str(answer.run_id),
        name=one_line(answer.display_name or ""),
        state=_state_of_run(answer),
        error=_error_of(answer),
        created=moment(answer.created_at),
        finished=moment(answer.finished_at),
        tasks=_tasks([detail for detail in details if detail]),
        pipeline=(
            str(version.pipeline_id or "") if version else "",
            str(version.pipeline_version_id or "") if version else "",
        ),
        links=tuple(_links(answer.plugins_output or {})),
    )


def moment(value: datetime | None) -> datetime | None:
    """A time of the server; the year 1 or 1970 means that it has not happened."""
    if value is None or value.year <= 1970:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _state_of_run(answer: Any) -> str:
    """The workflow engine ends a canceled run as a failed one; its history shows the difference."""
    state = answer.state or _NO_STATE
    history = [status.state for status in answer.state_history or [] if status]
    return "CANCELED" if state == "FAILED" and "CANCELING" in history else one_line(str(state))


def _links(plugins: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (one_line(plugin), one_line(str(entry.value)))
        for plugin, output in plugins.items()
        for entry in ((output and output.entries) or {}).values()
        if entry and entry.render_type == "URL" and str(entry.value).startswith("http")
    ]


def _tasks(details: Sequence[Any]) -> tuple[Task, ...]:
    """The pipeline's tasks in the order of the flow, each once.

    The engine reports more nodes than tasks: for a task `distill` also `distill-driver`, which
    prepares it, and `executor`, which is its container; newer servers add a node for every attempt
    at each of these. A node without a state was left out of the run. A driver is shown when it
    failed and its task did not, and while it waits for a node it stands for its task.
    """
    workflow = find_workflow(details)
    entries = _by_name(details)
    containers = entries.pop(CONTAINER, [])
    for name in (ROOT, workflow.name):
        entries.pop(name, None)
    steps = {name: nodes for name, nodes in entries.items() if not is_driver(name)}
    going = [nodes[0].detail for nodes in steps.values() if not nodes[0].is_final]
    tasks = [
        _task(name, nodes, _containers_of(nodes[0].detail, going, containers), workflow)
        for name, nodes in steps.items()
    ]
    failed = {task.name for task in tasks if task.state == "FAILED"}
    for driver, nodes in entries.items():
        if is_driver(driver) and task_of(driver) not in failed:
            tasks += _shown_driver(driver, nodes, workflow, is_ahead=task_of(driver) not in steps)
    return tuple(sorted(tasks, key=_place))


@dataclass(frozen=True)
class _Node:
    """An entry of the server; the attempt is None for the node above the attempts."""

    attempt: int | None
    detail: Any

    @property
    def is_final(self) -> bool:
        return self.detail.state in FINAL_STATES


def _by_name(details: Sequence[Any]) -> dict[str, list[_Node]]:
    """The nodes of each name: the one above the attempts, then the attempts, the last one first."""
    found: dict[str, list[_Node]] = {}
    for detail in details:
        if detail.display_name and detail.state not in (None, "", _NO_STATE):
            name, attempt = split_name(str(detail.display_name))
            found.setdefault(name, []).append(_Node(attempt, detail))
    for nodes in found.values():
        nodes.sort(key=lambda node: (node.attempt is not None, -(node.attempt or 0)))
    return found


def _containers_of(
    task: Any, going: Sequence[Any], containers: Sequence[_Node]
) -> tuple[_Node, ...]:
    """Those that began after the task did, and not after a later one; no entry says it outright."""
    begin = moment(task.start_time)
    if begin is None:
        return ()
    later = [start for one in going if (start := moment(one.start_time)) and start > begin]
    end = min(later, default=_NEVER)
    return tuple(
        node
        for node in containers
        if (start := moment(node.detail.start_time)) and begin <= start < end
    )


def _task(name: str, nodes: list[_Node], containers: Sequence[_Node], workflow: Workflow) -> Task:
    head = nodes[0].detail
    numbers = workflow.attempts(name)
    waits_since = None if nodes[0].is_final else _waits_since(containers)
    return Task(
        name=one_line(name),
        state="PENDING" if waits_since else one_line(str(head.state)),
        error=next(filter(None, (_error_of(node.detail) for node in nodes)), ""),
        started=moment(head.start_time),
        ended=moment(head.end_time),
        waits_since=waits_since,
        attempts=len(numbers) or 1 + max(node.attempt or 0 for node in nodes),
        pods=workflow.pods(name, numbers[-1]) if numbers else _guessed_pods(name, nodes, workflow),
    )


def _shown_driver(
    name: str, nodes: list[_Node], workflow: Workflow, *, is_ahead: bool
) -> Sequence[Task]:
    """Args: is_ahead: its task has not begun."""
    task = _task(name, nodes, nodes, workflow)
    if task.state == "FAILED":
        return (task,)
    if task.waits_since and is_ahead:
        begun = task_of(name) if task_of(name) != ROOT else name
        return (replace(task, name=begun, started=None, attempts=1),)
    return ()


def _waits_since(nodes: Sequence[_Node]) -> datetime | None:
    """When the pod that these nodes stand for began to wait, None when one of them has begun."""
    going = [node for node in nodes if not node.is_final]
    innermost = [node.detail for node in going if node.attempt is not None] or [
        node.detail for node in going
    ]
    if not innermost or any(detail.state != "PENDING" for detail in innermost):
        return None
    starts = [start for one in innermost if (start := moment(one.start_time))]
    return max(starts, default=None)


def _guessed_pods(name: str, nodes: list[_Node], workflow: Workflow) -> tuple[str, ...]:
    """Of a server whose ids are not Argo's: a task's container is one of its children."""
    children = [child for node in nodes for child in children_of(node.detail)]
    ids = [child.rpartition("-") for child in dict.fromkeys(children)]
    numbers = [number for prefix, _, number in ids if prefix == workflow.name]
    return tuple(pod for number in numbers for pod in workflow.pods(name, number))


def _place(task: Task) -> tuple[int, datetime]:
    return _ORDER.get(task_of(task.name), len(_ORDER)), task.started or _NEVER


def _error_of(thing: Any) -> str:
    """Its error, else the last one of its history."""
    for one in (thing, *reversed(thing.state_history or [])):
        if one and one.error and one.error.message:
            return one_line(one.error.message)
    return ""
