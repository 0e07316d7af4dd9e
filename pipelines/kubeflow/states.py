"""A run and its tasks as the server reports them, without the workflow engine's own nodes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from decant.runtime.steps import STEPS
from pipelines.kubeflow.api_errors import one_line

FINAL_STATES = frozenset({"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"})
_ORDER = {step.replace("_", "-"): place for place, step in enumerate(STEPS)}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of the pipeline.

    Attributes:
        error: the server's message, often empty: the reason is then only in the log.
        pods: names that the log may be found under.
    """

    name: str
    state: str
    error: str
    started: datetime | None
    ended: datetime | None
    pods: tuple[str, ...]

    def seconds(self, now: datetime) -> float | None:
        if self.started is None:
            return None
        return max(0.0, ((self.ended or now) - self.started).total_seconds())


@dataclass(frozen=True, kw_only=True)
class Run:
    run_id: str
    name: str
    state: str
    error: str
    created: datetime | None
    finished: datetime | None
    tasks: tuple[Task, ...]

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def failed_tasks(self) -> tuple[Task, ...]:
        return tuple(task for task in self.tasks if task.state == "FAILED")


def read_run(answer: Any) -> Run:
    """From kfp's `V2beta1Run`."""
    details = (answer.run_details.task_details if answer.run_details else None) or []
    return Run(
        run_id=str(answer.run_id),
        name=one_line(answer.display_name or ""),
        state=_state_of_run(answer),
        error=_error_of(answer),
        created=moment(answer.created_at),
        finished=moment(answer.finished_at),
        tasks=_tasks(details),
    )


def moment(value: datetime | None) -> datetime | None:
    """A time of the server; the year 1 or 1970 means that it has not happened."""
    if value is None or value.year <= 1970:
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _state_of_run(answer: Any) -> str:
    """The workflow engine ends a canceled run as a failed one; its history shows the difference."""
    state = answer.state or "RUNTIME_STATE_UNSPECIFIED"
    history = [status.state for status in answer.state_history or []]
    return "CANCELED" if state == "FAILED" and "CANCELING" in history else str(state)


def _tasks(details: list[Any]) -> tuple[Task, ...]:
    """The pipeline's tasks in the order of the flow.

    The engine reports more nodes than tasks: for a task `distill` also `distill-driver`, which
    prepares it, and `executor`, which is its container. A driver is shown when it failed.
    """
    tasks = []
    for detail in details:
        name = str(detail.display_name or detail.task_id)
        if _is_machinery(detail, name) and not (_is_driver(name) and detail.state == "FAILED"):
            continue
        tasks.append(
            Task(
                name=one_line(name),
                state=str(detail.state or "PENDING"),
                error=_error_of(detail),
                started=moment(detail.start_time),
                ended=moment(detail.end_time),
                pods=tuple(dict.fromkeys(_pods(detail, details))),
            )
        )
    return tuple(sorted(tasks, key=_place))


def _place(task: Task) -> tuple[int, datetime]:
    name = task.name.removesuffix("-driver")
    return _ORDER.get(name, len(_ORDER)), task.started or datetime.max.replace(tzinfo=UTC)


def _is_driver(name: str) -> bool:
    return name.endswith("-driver")


def _is_machinery(detail: Any, name: str) -> bool:
    """Drivers, containers, the graph's root, and the node of the whole workflow."""
    children = _children(detail)
    return (
        _is_driver(name)
        or name == "root"
        or _is_container(detail)
        or any(child.startswith(f"{name}-") for child in children)
    )


def _children(detail: Any) -> list[str]:
    return [child.pod_name for child in detail.child_tasks or [] if child.pod_name]


def _pods(detail: Any, details: list[Any], depth: int = 0) -> Iterator[str]:
    """A task's own pod, and those of its containers (a retried task has several).

    A node is named by the workflow and a number; its pod has the template's name between the two.
    """
    if detail.pod_name:
        yield detail.pod_name
    if _is_driver(detail.display_name or "") or depth > 2:
        return
    by_number = {_number(other.pod_name): other for other in details if other.pod_name}
    for node in _children(detail):
        workflow, _, number = node.rpartition("-")
        other = by_number.get(number)
        if other is None:
            yield from (node, f"{workflow}-system-container-impl-{number}")
        elif _is_container(other):
            yield from _pods(other, details, depth + 1)


def _is_container(detail: Any) -> bool:
    return (detail.display_name or "").partition("(")[0] == "executor"


def _number(pod: str) -> str:
    return pod.rpartition("-")[2]


def _error_of(thing: Any) -> str:
    """Its error, else the last one of its history."""
    if thing.error and thing.error.message:
        return one_line(thing.error.message)
    for status in reversed(thing.state_history or []):
        if status.error and status.error.message:
            return one_line(status.error.message)
    return ""
