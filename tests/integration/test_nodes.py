"""finetune and distill on two nodes, for real: two commands that meet at a port, as pods do."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_card
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from decant.training import processes
from tests.errors import raises


def run(root: Path, params: dict[str, Any], *names: str) -> None:
    for name in names:
        step = load_step(name)
        ports = {port: root / port for port in (*step.input_ports, *step.output_ports)}
        run_step(name, section_of(params, name, step.params), ports)


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def start_nodes(
    name: str, root: Path, params: dict[str, Any], extra: Mapping[str, str]
) -> list[subprocess.Popen[str]]:
    """The step on two nodes of one process each."""
    step = load_step(name)
    file = root / "params.json"
    file.write_text(json.dumps(params), "utf-8")
    command = [sys.executable, "-m", "components", name, "--params", str(file)]
    for port in (*step.input_ports, *step.output_ports):
        command += [f"--{port}", str(root / port)]
    return two_nodes(command, {"PET_NPROC_PER_NODE": "1", **extra})


def two_nodes(command: list[str], extra: Mapping[str, str]) -> list[subprocess.Popen[str]]:
    """The command twice, with what Kubeflow Trainer sets in the pods of two nodes."""
    meeting = {"PET_NNODES": "2", "PET_MASTER_ADDR": "127.0.0.1", "PET_MASTER_PORT": free_port()}
    return [
        subprocess.Popen(
            command,
            env=os.environ
            | meeting
            | {"PET_NODE_RANK": str(rank), "OMP_NUM_THREADS": "1", **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]


def ended(nodes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    results = []
    for node in nodes:
        text, _ = node.communicate(timeout=300)
        results.append((node.returncode, text))
    return results


@pytest.mark.slow
def test_two_nodes_make_what_one_process_makes(
    calm_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache-of-one"))
    one, two = tmp_path / "one", tmp_path / "two"
    run(one, calm_params, "ingest", "tokenize", "finetune", "transfer_weights", "distill")
    two.mkdir()
    for port in ("corpus", "encoder", "tokens", "initial_student"):
        (two / port).symlink_to(one / port)
    shared = {"DECANT_CACHE": str(tmp_path / "cache-of-two")}
    for name in ("finetune", "distill"):
        for code, text in ended(start_nodes(name, two, calm_params, shared)):
            assert code == 0, text
        if name == "finetune":  # the student was made from the other teacher, so it goes on
            (two / "teacher").rename(two / "teacher of two")
            (two / "teacher").symlink_to(one / "teacher")
    made = {"teacher": "teacher of two", "student": "student", "undistilled": "undistilled"}
    for port, folder in made.items():
        alone = load_file(one / port / "model.safetensors")
        together = load_file(two / folder / "model.safetensors")
        assert alone.keys() == together.keys()
        for name, tensor in alone.items():
            np.testing.assert_allclose(together[name], tensor, atol=5e-4, err_msg=name)
    first, second = read_card(one / "student"), read_card(two / "student")
    assert second.metrics == pytest.approx(first.metrics)
    assert not list(two.glob(".*"))


@pytest.mark.slow
def test_a_node_that_dies_ends_the_other_and_nothing_is_written(
    calm_params: dict[str, Any], tmp_path: Path
) -> None:
    run(tmp_path, calm_params, "ingest", "tokenize")
    long = json.loads(json.dumps(calm_params))
    long["finetune"]["training"] |= {"epochs": 1000, "patience_epochs": 1000}
    first, second = start_nodes("finetune", tmp_path, long, {})
    try:
        assert first.stdout is not None
        for line in first.stdout:
            if "epoch 1" in line:
                break
        second.send_signal(signal.SIGTERM)
        assert second.wait(300) == 143
        text = first.communicate(timeout=300)[0]
        assert first.returncode == 2, text
        assert "process 0 of 2 of step finetune ended with code" in text
    finally:
        for node in (first, second):
            node.kill()
    assert not (tmp_path / "teacher").exists()


SHARE = """
import sys
from pathlib import Path
from components.distill.shards import fill
from decant.runtime.cache_folder import write_once
from decant.training import processes

files = [Path(sys.argv[1]) / str(number) for number in range(10)]

def compute(missing):
    for number in missing:
        with Path(f"{files[number].parent}-{number}").open("a") as done:
            done.write(f"{processes.index()} of {processes.count()}")
        write_once(files[number], lambda file: file.touch())

with processes.joined():
    assert fill(files, compute) == 10
    assert fill(files, compute) == 0
"""


@pytest.mark.slow
def test_the_teachers_shards_are_shared_out_to_all_processes_of_all_nodes(tmp_path: Path) -> None:
    """Started by torchrun itself, which reads the same variables."""
    script, folder = tmp_path / "share.py", tmp_path / "shards"
    script.write_text(SHARE)
    command = [sys.executable, "-m", "torch.distributed.run", str(script), str(folder)]
    extra = {"PET_NPROC_PER_NODE": "2", "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    for code, text in ended(two_nodes(command, extra)):
        assert code == 0, text
    found = {number: Path(f"{folder}-{number}").read_text() for number in range(10)}
    assert found == {number: f"{number % 4} of 4" for number in range(10)}


@pytest.mark.slow
@pytest.mark.parametrize("node", [0, 1])
def test_a_node_whose_others_never_come(node: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MEETING_SECONDS", 3)
    group = processes.Group(nodes=2, node=node, meeting_point=f"127.0.0.1:{free_port()}")
    with raises("node-lost", f"node {node} of 2", "127.0.0.1"):
        processes.start(group, "finetune", {}, {})


def setting(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name in processes.TORCHRUN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(f"PET_{name}", value)


def test_what_torchrun_would_read(monkeypatch: pytest.MonkeyPatch) -> None:
    setting(
        monkeypatch,
        NNODES="3",
        NPROC_PER_NODE="4",
        NODE_RANK="2",
        MASTER_ADDR="job-node-0-0.job",
        MASTER_PORT="29400",
    )
    assert processes.wanted() == processes.Group(
        per_node=4, nodes=3, node=2, meeting_point="job-node-0-0.job:29400"
    )
    assert processes.wanted().size == 12
    monkeypatch.setenv("PET_NNODES", "1")
    assert processes.wanted() == processes.Group(per_node=4)


@pytest.mark.parametrize(
    ("variable", "value", "code", "values"),
    [
        ("NNODES", "two", "variable-value", ["PET_NNODES is 'two'"]),
        ("NPROC_PER_NODE", "0", "variable-value", ["PET_NPROC_PER_NODE is '0'"]),
        ("NPROC_PER_NODE", "many", "variable-value", ["PET_NPROC_PER_NODE is 'many'"]),
        ("NODE_RANK", "2", "variable-value", ["PET_NODE_RANK is '2'"]),
        ("MASTER_ADDR", "", "variable-missing", ["PET_NNODES is 2", "PET_MASTER_ADDR"]),
    ],
)
def test_variables_that_make_no_group(
    variable: str, value: str, code: str, values: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"NNODES": "2", "NPROC_PER_NODE": "1", "NODE_RANK": "1"}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29400"}
    setting(monkeypatch, **(good | meeting | {variable: value}))
    with raises(code, *values):
        processes.wanted()


def test_a_step_that_does_not_train_refuses_several_nodes(
    tmp_path: Path, tiny_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    setting(monkeypatch, NNODES="2", NODE_RANK="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="29400")
    with raises("nodes-unsupported", "ingest", "PET_NNODES is 2"):
        run(tmp_path, tiny_params, "ingest")
    assert not (tmp_path / "corpus").exists()
