"""A task that starts a TrainJob, against a cluster on loopback, with the real clients."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from decant.runner.train_job import launch
from decant.runner.train_job import watch as follow
from decant.runner.train_job.launch import run_as_train_job
from decant.runner.train_job.node_plan import Plan, plan_from_environment
from decant.runtime.artifacts import read_card
from tests.decant.runner.train_job.conftest import RUN, artifact
from tests.decant.runner.train_job.kubernetes_api import Cluster
from tests.errors import raises

# Stands for the step: checks its inputs, says something, and the first node writes the output.
NODE = """
import json, os, pathlib, shutil, sys, time
option = dict(zip(sys.argv[4::2], sys.argv[5::2]))
rank = os.environ["PET_NODE_RANK"]
assert sys.argv[1:5] == ["-m", "components", "finetune", "--params"], sys.argv
assert pathlib.Path(option["--tokens"], "rows.bin").read_bytes() == b"rows"
for number in range(3):
    print(f"node {rank} says {number}", flush=True)
    time.sleep(0.1)
if rank == "0":
    shutil.copytree(option["--encoder"], option["--teacher"])
"""
FAILING = """
import os, sys, time
print("node", os.environ["PET_NODE_RANK"], "begins", flush=True)
if os.environ["PET_NODE_RANK"] == "1":
    print("error: no room on the card", flush=True)
    sys.exit(137)
time.sleep(60)
"""
FOR_EVER = "import time\nprint('begins', flush=True)\ntime.sleep(600)"


@pytest.fixture
def plan(plan_json: str) -> Plan:
    return Plan(**json.loads(plan_json))


def script(text: str) -> Any:
    """Nodes that run this in place of the step, with its arguments."""
    return lambda words, rank: [sys.executable, "-c", text, *words[1:]]


def exchanged(plan: Plan) -> list[Path]:
    return list(Path(plan.shared).rglob("*"))


def test_a_step_runs_on_its_nodes_and_its_outputs_come_back(
    cluster: Cluster,
    plan: Plan,
    section: dict[str, Any],
    ports: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.command = script(NODE)
    reporter = run_as_train_job("finetune", section, ports, plan)
    assert reporter.metrics == {"validation_accuracy": 0.875}
    assert reporter.measures == {"seconds": 4.5}
    assert read_card(ports["teacher"]).port == "encoder"  # the copy that node 0 made
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("node ")] == [
        f"node 0 says {number}" for number in range(3)
    ]
    name = cluster.posted[0]["metadata"]["name"]
    assert f"starts the TrainJob {name} in namespace team-a" in out
    assert "node 0 Running, node 1 Running" in out
    assert cluster.deleted == [name]
    assert not [path for path in exchanged(plan) if path.name != "train-jobs"]


def test_the_manifest_that_is_posted(
    cluster: Cluster, plan: Plan, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    cluster.command = script(NODE)
    run_as_train_job("finetune", section, ports, plan)
    (manifest,) = cluster.posted
    name = manifest["metadata"]["name"]
    folder = f"{plan.shared}/train-jobs/{name}"
    assert manifest["metadata"]["labels"] == {"decant/step": "finetune", "pipeline/runid": RUN}
    assert manifest["spec"]["runtimeRef"] == {
        "kind": "ClusterTrainingRuntime",
        "name": "torch-distributed",
    }
    assert manifest["spec"]["activeDeadlineSeconds"] == 300
    assert manifest["spec"]["trainer"] == {
        "image": "decant-steps:0.1.0",
        "numNodes": 2,
        "numProcPerNode": 1,
        "command": (
            f"python -m components finetune --params {folder}/params.json --tokens {folder}/tokens "
            f"--encoder {folder}/encoder --teacher {folder}/teacher"
        ).split(),
        "env": [
            {"name": "OMP_NUM_THREADS", "value": "1"},
            {"name": "KFP_RUN_ID", "value": RUN},
            {"name": "DECANT_CACHE", "value": f"{folder}/cache"},
            {"name": "DECANT_SPOOL", "value": f"{plan.shared}/mlflow-spool"},
        ],
        "resourcesPerNode": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"cpu": "2", "memory": "2Gi"},
        },
    }
    (patch,) = manifest["spec"]["runtimePatches"]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = job["template"]["spec"]["template"]["spec"]
    assert pod["volumes"] == [{"name": "team", "persistentVolumeClaim": {"claimName": "team"}}]
    assert pod["containers"] == [
        {"name": "node", "volumeMounts": [{"name": "team", "mountPath": plan.shared}]}
    ]


def test_a_node_that_fails_is_reported_and_all_is_removed(
    cluster: Cluster,
    plan: Plan,
    section: dict[str, Any],
    ports: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.command = script(FAILING)
    with raises("train-job-failed", "node 1", "137"):
        run_as_train_job("finetune", section, ports, plan)
    out = capsys.readouterr().out
    assert "node 1: error: no room on the card" in out
    assert "node 0 begins" in out
    assert len(cluster.deleted) == 1 and not cluster.jobs
    assert not ports["teacher"].exists() and not list(ports["teacher"].parent.glob(".*"))
    assert not [path for path in exchanged(plan) if path.name != "train-jobs"]


def test_a_job_that_takes_too_long(
    cluster: Cluster, plan: Plan, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    cluster.pending = True
    hurried = Plan(manifest=plan.manifest, shared=plan.shared, timeout_seconds=1)
    with raises("train-job-timeout", "1 s", "node 0 Pending (Unschedulable)"):
        run_as_train_job("finetune", section, ports, hurried)
    assert len(cluster.deleted) == 1


def test_a_lost_attempt_is_taken_up_and_no_second_job_starts(
    cluster: Cluster,
    plan: Plan,
    section: dict[str, Any],
    ports: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.command = script(NODE)
    with monkeypatch.context() as lost:  # as if its node had gone: nothing is tidied up
        lost.setattr(launch, "_tidy", lambda *_: None)
        lost.setattr(launch, "follow", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_as_train_job("finetune", section, ports, plan)
    reporter = run_as_train_job("finetune", section, ports, plan)
    assert reporter.metrics == {"validation_accuracy": 0.875}
    assert len(cluster.posted) == 1 and len(cluster.deleted) == 1
    assert "continues with the TrainJob" in capsys.readouterr().out


def test_an_attempt_after_one_that_failed_starts_anew(
    cluster: Cluster, plan: Plan, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    cluster.command = script(FAILING)
    with raises("train-job-failed", "137"):
        run_as_train_job("finetune", section, ports, plan)
    cluster.command = script(NODE)
    run_as_train_job("finetune", section, ports, plan)
    first, second = (manifest["metadata"]["name"] for manifest in cluster.posted)
    assert first == second and cluster.deleted == [first, second]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_api_that_does_not_answer_for_a_while(
    status: int,
    cluster: Cluster,
    plan: Plan,
    section: dict[str, Any],
    ports: dict[str, Path],
) -> None:
    cluster.command = script(NODE)
    cluster.faults = [["GET .*/(pods|trainjobs/.*|log)$", status, 0]]

    def fail_when_posted() -> None:
        while not cluster.posted:
            time.sleep(0.01)
        cluster.faults[0][2] = 5

    threading.Thread(target=fail_when_posted, daemon=True).start()
    run_as_train_job("finetune", section, ports, plan)
    assert cluster.faults[0][2] == 0
    assert len(cluster.posted) == 1 and read_card(ports["teacher"])


def test_a_job_is_created_once_though_the_answer_was_lost(
    cluster: Cluster, plan: Plan, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    cluster.command = script(NODE)
    real, lost = cluster.create, [True]

    def create(manifest: dict[str, Any]) -> tuple[int, Any]:
        answer = real(manifest)
        return (504, {"message": "too late"}) if lost and lost.pop() else answer

    cluster.create = create  # type: ignore[method-assign]
    run_as_train_job("finetune", section, ports, plan)
    assert sum(request.startswith("POST") for request in cluster.requests) == 2
    assert len(cluster.posted) == 1 and read_card(ports["teacher"])


def test_an_api_that_never_answers_again(
    cluster: Cluster,
    plan: Plan,
    section: dict[str, Any],
    ports: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.command = script(FOR_EVER)
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 0.3)
    cluster.faults = [["pods$", 503, 10**6], ["DELETE", 503, 10**6]]
    with raises("cluster-unavailable", "list pods", "503"):
        run_as_train_job("finetune", section, ports, plan)
    assert "may still be there: cannot delete a TrainJob: 503" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(
    ("fault", "code", "values"),
    [
        (["POST", 403, 1], "cluster-refused", ["create a TrainJob", "team-a", "train-jobs.yaml"]),
        (["POST", 404, 1], "trainer-missing", ["Kubeflow Trainer"]),
        (["POST", 422, 1], "cluster-refused", ["refused by the test"]),
        (["GET .*pods$", 403, 1], "cluster-refused", ["list pods", "team-a", "train-jobs.yaml"]),
        (["GET .*/log$", 403, 1], "cluster-refused", ["read the log", "train-jobs.yaml"]),
    ],
)
def test_what_the_cluster_refuses(
    fault: list[Any],
    code: str,
    values: list[str],
    cluster: Cluster,
    plan: Plan,
    section: dict[str, Any],
    ports: dict[str, Path],
) -> None:
    cluster.command = script(FOR_EVER)
    cluster.faults = [fault]
    with raises(code, *values):
        run_as_train_job("finetune", section, ports, plan)
    assert not cluster.jobs


def test_a_job_that_somebody_deletes(
    cluster: Cluster, plan: Plan, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    cluster.command = script(FOR_EVER)

    def delete() -> None:
        while not any(pod.lines for pods in cluster.jobs.values() for pod in pods):
            time.sleep(0.01)
        cluster.end(cluster.posted[0]["metadata"]["name"])

    threading.Thread(target=delete, daemon=True).start()
    with raises("train-job-deleted"):
        run_as_train_job("finetune", section, ports, plan)


def test_wrong_parameters_start_nothing(
    cluster: Cluster, plan: Plan, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    with raises("parameter-value", "finetune.members"):
        run_as_train_job("finetune", section | {"members": 0}, ports, plan)
    artifact(ports["teacher"] / "within", "ingest", "corpus")
    with raises("output-taken", str(ports["teacher"])):
        run_as_train_job("finetune", section, ports, plan)
    assert cluster.requests == []


def test_outputs_that_no_node_wrote(
    cluster: Cluster, plan: Plan, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    cluster.command = script("print('nothing')")
    with raises("train-job-output-missing", "teacher"):
        run_as_train_job("finetune", section, ports, plan)


@pytest.mark.slow
def test_a_task_that_is_taken_away_takes_its_job_along(
    cluster: Cluster, plan_json: str, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    cluster.command = script(FOR_EVER)
    task = (
        "import sys, json\n"
        "from decant.runner.kfp_task import run_component\n"
        "name, params, ports = sys.argv[1:]\n"
        "run_component(name, params, json.loads(ports), None)\n"
    )
    paths = json.dumps({port: str(path) for port, path in ports.items()})
    process = subprocess.Popen(
        [sys.executable, "-c", task, "finetune", json.dumps(section), paths],
        env=os.environ | {"DECANT_TRAIN_JOB": plan_json},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert any("starts the TrainJob" in line for line in process.stdout)
    while not cluster.jobs:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert len(cluster.deleted) == 1 and not cluster.jobs
    assert not ports["teacher"].exists()


def test_a_job_that_the_controller_ends(
    cluster: Cluster, plan: Plan, section: dict[str, Any], ports: dict[str, Path]
) -> None:
    cluster.pending = True
    real = cluster.status

    def ended(name: str) -> tuple[int, Any]:
        code, job = real(name)
        if code == 200:
            failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
            job["status"]["conditions"] = [failed | {"message": "longer than 300 s"}]
        return code, job

    cluster.status = ended  # type: ignore[method-assign]
    with raises("train-job-failed", "DeadlineExceeded: longer than 300 s"):
        run_as_train_job("finetune", section, ports, plan)


def test_the_plan_comes_from_the_environment(
    plan_json: str, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DECANT_TRAIN_JOB", raising=False)
    assert plan_from_environment() is None
    monkeypatch.setenv("DECANT_TRAIN_JOB", plan_json)
    assert plan_from_environment() == plan
    for text in ("", "{}", '{"job": 1}'):
        monkeypatch.setenv("DECANT_TRAIN_JOB", text)
        with raises("node-plan-missing", "DECANT_TRAIN_JOB"):
            plan_from_environment()


def test_without_a_way_to_a_cluster(
    plan: Plan,
    section: dict[str, Any],
    ports: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none")
    )
    with raises("cluster-unavailable", "KUBECONFIG"):
        run_as_train_job("finetune", section, ports, plan)
