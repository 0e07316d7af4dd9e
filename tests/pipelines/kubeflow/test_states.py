"""What is made of the server's report of a run."""

from datetime import UTC, datetime
from typing import Any

import kfp_server_api as kfp
import pytest

from pipelines.kubeflow.states import moment, read_run
from tests.pipelines.kfp_api import WORKFLOW, Frame, KfpApi, node, node_id, pod_of


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


def test_a_driver_that_failed_before_its_task_did_is_not_shown() -> None:
    run = read_nodes(node("ingest-driver", "FAILED", []), node("ingest", "FAILED", []))
    assert [task.name for task in run.failed_tasks] == ["ingest"]


def test_a_driver_that_waits_stands_for_its_task() -> None:
    waits = node("finetune-driver", "PENDING", [f"{WORKFLOW}-1"])
    waits["start_time"] = "2026-11-01T10:00:00Z"
    working = node("root-driver", "RUNNING", [])
    (task,) = read_nodes(node("finetune-driver", "RUNNING", []), working).tasks or [None]
    assert task is None
    (task,) = read_nodes(waits, working).tasks
    assert (task.name, task.state, task.started) == ("finetune", "PENDING", None)
    assert task.waits_since == datetime(2026, 11, 1, 10, tzinfo=UTC)


def test_a_pod_by_the_ids_of_nodes() -> None:
    """A node's id is a hash of its name; its pod has the template's name in between."""
    frame = Frame(state="FAILED", tasks={"ingest": "SUCCEEDED", "distill": "FAILED"})
    _, task = read_nodes(*KfpApi()._nodes(frame)).tasks
    without, having = task.pods
    assert (without, task.attempts) == (pod_of("distill"), 1)
    assert having == pod_of("distill").replace("system-", "retry-system-")


def test_the_pod_of_a_task_that_was_tried_again() -> None:
    """distill - executor - executor(0), executor(1); what comes after is another task's."""
    tasks = {"distill": "FAILED", "export-onnx": "RUNNING"}
    frame = Frame(state="FAILED", tasks=tasks, attempts={"distill": 11})
    task, _ = read_nodes(*KfpApi()._nodes(frame)).tasks
    assert task.attempts == 11
    assert task.pods[1] == pod_of("distill", 10)


def test_attempts_of_a_pod_and_of_all_around_it() -> None:
    """A server of 2.17 tries the nodes above a lost pod again, once the pod's own attempts end."""
    tree = {
        "ingest": [".ingest(0)", ".ingest(1)"],
        "ingest(0)": [".ingest(0).executor"],
        "ingest(1)": [".ingest(1).executor"],
        "executor": [".ingest(0).executor(0)", ".ingest(0).executor(1)"],
        "executor(1)": [".ingest(1).executor(0)"],
        "root(0)": [".ingest"],
    }
    nodes = [
        node(name, "FAILED", [node_id(f"(0).root(0){path}") for path in below])
        for name, below in tree.items()
    ]
    nodes += [
        node(f"{WORKFLOW}(0)", "FAILED", [node_id("(0).root"), node_id("(0).root(0)")]),
        node(WORKFLOW, "FAILED", [node_id("(0)")]),
    ]
    (task,) = read_nodes(*nodes).tasks
    assert (task.name, task.attempts) == ("ingest", 3)
    last = node_id("(0).root(0).ingest(1).executor(0)").rpartition("-")[2]
    assert task.pods[0] == f"{WORKFLOW}-system-container-impl-{last}"


def test_pods_where_ids_are_not_argos() -> None:
    task, _ = read_nodes(
        node("distill", "FAILED", [f"{WORKFLOW}-12", "broken"]),
        node("executor", "FAILED", [f"{WORKFLOW}-20"]),
        node("ingest(2)", "FAILED", []),
    ).tasks[::-1]
    assert task.pods == (
        f"{WORKFLOW}-system-container-impl-12",
        f"{WORKFLOW}-retry-system-container-impl-12",
    )
    assert read_nodes(node("ingest(2)", "FAILED", [])).tasks[0].attempts == 3
    assert read_nodes(node("ingest(2)", "FAILED", [])).tasks[0].pods == ()


def test_one_of_two_tasks_at_work_waits() -> None:
    """Which container is whose shows only when each began."""
    first, second = (node(name, "RUNNING", []) for name in ("finetune", "distill"))
    waits, works = node("executor(0)", "PENDING", []), node("executor(0)", "RUNNING", [])
    for one, second_of in ((first, 0), (waits, 0), (second, 5), (works, 6)):
        one["start_time"] = f"2026-11-01T10:00:{second_of:02}Z"
    tasks = read_nodes(first, second, waits, works).tasks
    assert [(task.name, task.state) for task in tasks] == [
        ("finetune", "PENDING"),
        ("distill", "RUNNING"),
    ]
    for one in (second, works):  # now both began at once: nothing is claimed
        one["start_time"] = "2026-11-01T10:00:00Z"
    tasks = read_nodes(first, second, waits, works).tasks
    assert {task.state for task in tasks} == {"RUNNING"}


def test_entries_with_little_in_them() -> None:
    run = read_run(
        answer(
            state="RUNNING",
            state_history=[None],
            pipeline_version_reference={},
            plugins_output={"mlflow": None, "other": {"entries": {"a": None, "b": {}}}},
            run_details={
                "task_details": [
                    None,
                    {},
                    {"display_name": "ingest", "state": "RUNNING", "child_tasks": [None, {}]},
                    {"display_name": "tokenize"},
                    {"display_name": "finetune", "state": "RUNTIME_STATE_UNSPECIFIED"},
                    {"display_name": "register", "state": "A_NEW_\x1b[31mSTATE"},
                    {"display_name": "executor(0)", "state": "PENDING"},
                    {"state": "FAILED", "execution_id": "7"},
                ]
            },
        )
    )
    assert [(task.name, task.state) for task in run.tasks] == [
        ("ingest", "RUNNING"),
        ("register", "A_NEW_STATE"),
    ]
    assert (run.pipeline, run.links) == (("", ""), ())


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
