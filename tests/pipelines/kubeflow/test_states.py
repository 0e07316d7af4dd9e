"""What is made of the server's report of a run."""

from datetime import UTC, datetime
from typing import Any

import kfp_server_api as kfp
import pytest

from pipelines.kubeflow.states import moment, read_run
from tests.pipelines.kfp_api import Frame, KfpApi, node

WORKFLOW = "decant-distillation-x7k2p"


def answer(**fields: Any) -> Any:
    """The server's JSON as kfp's client gives it to us."""
    client = kfp.ApiClient()
    return client._ApiClient__deserialize({"run_id": "r", **fields}, "V2beta1Run")


def read_nodes(*nodes: dict[str, Any]) -> Any:
    return read_run(answer(state="RUNNING", run_details={"task_details": list(nodes)}))


def test_tasks_in_the_order_of_the_flow_without_the_engines_nodes() -> None:
    frame = Frame(
        state="RUNNING",
        tasks={"register": "PENDING", "transfer-weights": "RUNNING", "ingest": "SUCCEEDED"},
    )
    nodes = KfpApi()._nodes(frame)
    assert len(nodes) == 12
    run = read_nodes(*nodes, node("zebra", "RUNNING", []))
    assert [(task.name, task.state) for task in run.tasks] == [
        ("ingest", "SUCCEEDED"),
        ("transfer-weights", "RUNNING"),
        ("register", "PENDING"),
        ("zebra", "RUNNING"),
    ]
    now = datetime(2026, 11, 1, 10, 2, tzinfo=UTC)
    assert [task.seconds(now) for task in run.tasks] == [63.0, 120.0, None, 120.0]


def test_a_driver_is_shown_when_it_failed() -> None:
    run = read_nodes(
        node("ingest-driver", "SUCCEEDED", [f"{WORKFLOW}-1"]),
        node("tokenize-driver", "FAILED", [], "image cannot be pulled"),
    )
    (task,) = run.failed_tasks
    assert (task.name, task.error) == ("tokenize-driver", "image cannot be pulled")
    assert task.pods == ()


def test_pods_by_the_names_of_nodes() -> None:
    """An older server names the nodes below a task; a pod has the template's name in between."""
    (task,) = read_nodes(
        node("distill", "FAILED", [f"{WORKFLOW}-12"]),
        node("executor", "FAILED", [f"{WORKFLOW}-20"]),
    ).tasks
    assert task.pods == (f"{WORKFLOW}-12", f"{WORKFLOW}-system-container-impl-12")


def test_pods_of_a_task_that_was_tried_twice() -> None:
    """distill - executor - executor(0), executor(1); what comes after is another task's."""
    impl = f"{WORKFLOW}-system-container-impl"
    retried = node("executor", "FAILED", [f"{WORKFLOW}-13", f"{WORKFLOW}-14"])
    first, second = (node(f"executor({at})", "FAILED", []) for at in (0, 1))
    second["child_tasks"] = [{"pod_name": f"{WORKFLOW}-15"}]
    after = node("export-onnx-driver", "SUCCEEDED", [])
    for one, number in ((retried, 12), (first, 13), (second, 14), (after, 15)):
        one["pod_name"] = f"{impl}-{number}"
    run = read_nodes(node("distill", "FAILED", [f"{WORKFLOW}-12"]), retried, first, second, after)
    assert run.tasks[0].pods == (f"{impl}-12", f"{impl}-13", f"{impl}-14")


def test_errors_from_the_task_or_from_its_history() -> None:
    plain = node("ingest", "FAILED", [], "first\nsecond \x1b[31mthird")
    told_earlier = node("tokenize", "FAILED", [])
    told_earlier["state_history"] = [
        {"state": "RUNNING", "error": {"message": "early"}},
        {"state": "FAILED", "error": {"message": "late"}},
        {"state": "FAILED"},
    ]
    run = read_nodes(plain, told_earlier, node("finetune", "FAILED", []))
    assert [task.error for task in run.tasks] == ["first second third", "late", ""]


@pytest.mark.parametrize(
    ("state", "history", "read", "is_final"),
    [
        ("SUCCEEDED", [], "SUCCEEDED", True),
        ("FAILED", ["RUNNING", "FAILED"], "FAILED", True),
        ("FAILED", ["RUNNING", "CANCELING", "FAILED"], "CANCELED", True),
        ("CANCELED", [], "CANCELED", True),
        ("SKIPPED", [], "SKIPPED", True),
        ("CANCELING", [], "CANCELING", False),
        ("PAUSED", [], "PAUSED", False),
        ("A_NEW_STATE", [], "A_NEW_STATE", False),
        (None, [], "RUNTIME_STATE_UNSPECIFIED", False),
    ],
)
def test_states(state: str | None, history: list[str], read: str, is_final: bool) -> None:
    run = read_run(answer(state=state, state_history=[{"state": one} for one in history]))
    assert (run.state, run.is_final) == (read, is_final)
    assert run.tasks == ()


def test_times_that_have_not_come() -> None:
    assert moment(None) is None
    assert moment(datetime(1, 1, 1, tzinfo=UTC)) is None
    assert moment(datetime(1970, 1, 1, tzinfo=UTC)) is None
    assert moment(datetime(2026, 11, 1)) == datetime(2026, 11, 1, tzinfo=UTC)
    run = read_run(answer(created_at="2026-11-01T10:00:00Z", finished_at="1970-01-01T00:00:00Z"))
    assert run.created == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert run.finished is None
