"""Which of a workflow's nodes belong to which task, and what their pods are called.

The server gives its entries neither an id nor a parent, and calls every container `executor`. But
it lists the children of a node by id, and an id is the workflow's name with a hash of the node's
whole name (`NodeID` in Argo's workflow_types.go; FNV-1a, 32 bits). So a name such as
`WORKFLOW(0).root(0).ingest(0).executor(1)` belongs to a node if its hash is listed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CONTAINER = "executor"
ROOT = "root"
_DRIVER = "-driver"
# The templates of KFP's compiler; a task with retries has one of its own.
_CONTAINER_PODS = ("system-container-impl", "retry-system-container-impl")
_DRIVER_PODS = ("system-container-driver",)
_ROOT_DRIVER_PODS = ("system-dag-driver",)
_FNV_OFFSET, _FNV_PRIME = 2166136261, 16777619


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """The nodes that the server's entries mention.

    Attributes:
        name: of the workflow, empty when no entry has children.
        numbers: a node's name without the workflow's, such as `(0).root(0).ingest`, to the number
            at the end of its id.
    """

    name: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)

    def attempts(self, task: str) -> tuple[str, ...]:
        """The numbers of the pods of a task or driver, the last attempt at the end."""
        names = [task] if is_driver(task) else [task, CONTAINER]
        parts = "".join(rf"\.{re.escape(name)}(?:\((\d+)\))?" for name in names)
        pattern = re.compile(rf".*{parts}")
        found = {
            tuple(-1 if place is None else int(place) for place in match.groups()): number
            for path, number in self.numbers.items()
            if (match := pattern.fullmatch(path))
        }
        # What is tried again has a node of its own above those of its attempts.
        above = {(*places[:-1], -1) for places in found if places[-1] >= 0}
        return tuple(found[places] for places in sorted(found) if places not in above)

    def pods(self, task: str, number: str) -> tuple[str, ...]:
        """What the pod of a number may be called."""
        templates: tuple[str, ...] = _CONTAINER_PODS
        if is_driver(task):
            templates = _ROOT_DRIVER_PODS if task_of(task) == ROOT else _DRIVER_PODS
        return tuple(f"{self.name}-{template}-{number}" for template in templates)


def find_workflow(entries: Iterable[Any]) -> Workflow:
    """From kfp's `V2beta1PipelineTaskDetail`s."""
    entries = list(entries)
    children = [child.rpartition("-") for entry in entries for child in children_of(entry)]
    numbered = [(workflow, number) for workflow, _, number in children if number.isdecimal()]
    if not numbered:
        return Workflow()
    name = Counter(workflow for workflow, _ in numbered).most_common(1)[0][0]
    listed = {number for workflow, number in numbered if workflow == name}
    parts = {part for entry in entries for part in _parts(str(entry.display_name or ""))}
    return Workflow(name=name, numbers=dict(_walk(name, parts, listed)))


def split_name(name: str) -> tuple[str, int | None]:
    """A task and which attempt at it: ("finetune", 0) of `finetune(0)`, None without a number."""
    match = re.fullmatch(r"(.+)\((\d+)\)", name)
    return (match[1], int(match[2])) if match else (name, None)


def is_driver(name: str) -> bool:
    """Whether it prepares a task."""
    return name.endswith(_DRIVER)


def task_of(driver: str) -> str:
    """The task that a driver prepares; a task is its own."""
    return driver.removesuffix(_DRIVER)


def children_of(entry: Any) -> list[str]:
    """Ids of nodes."""
    return [child.pod_name for child in entry.child_tasks or [] if child and child.pod_name]


def _parts(name: str) -> Iterator[str]:
    """What a node of this name adds to the name of the node above it."""
    base, attempt = split_name(name)
    if base:
        yield f".{base}"
    if attempt is not None:
        yield f"({attempt})"


def _walk(name: str, parts: set[str], listed: set[str]) -> Iterator[tuple[str, str]]:
    """Names below the workflow's and their numbers, from the top down; each node once."""
    left, open_paths = set(listed), [("", _hash(name, _FNV_OFFSET))]
    while open_paths:
        path, state = open_paths.pop()
        for part in sorted(parts):
            below = _hash(part, state)
            if str(below) in left:
                left.remove(str(below))
                open_paths.append((path + part, below))
                yield path + part, str(below)


def _hash(text: str, state: int) -> int:
    for byte in text.encode():
        state = (state ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return state
