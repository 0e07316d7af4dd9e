"""Killed with -9, and run again: the same bytes, and not from the start."""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from decant.runner.run_step import run_step
from decant.runtime.identity import PROJECT, content_digest
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from decant.training import saving

pytestmark = pytest.mark.slow


def ports(name: str, root: Path, outputs: Path) -> dict[str, Path]:
    step = load_step(name)
    return {port: root / port for port in step.input_ports} | {
        port: outputs / port for port in step.output_ports
    }


def run(name: str, params: dict[str, Any], root: Path, outputs: Path) -> dict[str, str]:
    """Returns the digests of what it made."""
    step = load_step(name)
    run_step(name, section_of(params, name, step.params), ports(name, root, outputs))
    return {port: content_digest(outputs / port) for port in step.output_ports}


def start(name: str, params: dict[str, Any], root: Path, outputs: Path) -> "subprocess.Popen[str]":
    """A step in a process of its own, which saves after every training step."""
    outputs.mkdir(exist_ok=True)
    file = outputs / "params.json"
    file.write_text(json.dumps(params), "utf-8")
    options = [f"--{port}={path}" for port, path in ports(name, root, outputs).items()]
    return subprocess.Popen(
        [sys.executable, "-m", "components", name, f"--params={file}", *options],
        env=os.environ | {saving.VARIABLE: "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_until(is_there: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    while not is_there():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


@dataclasses.dataclass(frozen=True)
class Whole:
    """What steps make that nobody disturbs: their outputs below a root, and their digests."""

    root: Path
    digests: dict[str, str]


@pytest.fixture(scope="module")
def whole(tiny_params: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Whole:
    root = tmp_path_factory.mktemp("whole")
    digests: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECANT_CACHE", str(root / "cache"))
        for name in ("ingest", "tokenize", "finetune", "transfer_weights", "distill"):
            digests |= run(name, tiny_params, root, root)
    assert not list((root / "cache" / "checkpoints").iterdir())
    return Whole(root, digests)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the steps of a test keep their checkpoints."""
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return tmp_path / "cache" / "checkpoints"


def saved(kept: Path, training: str) -> set[Path]:
    return set(kept.glob(f"*/*/{training}-cpu-1/checkpoint-*.sha256"))


def test_a_step_ends_equal_byte_by_byte(
    tiny_params: dict[str, Any],
    whole: Whole,
    tmp_path: Path,
    kept: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Killed in the second of two trainings, then ended by SIGTERM."""
    process = start("distill", tiny_params, whole.root, tmp_path)
    wait_until(lambda: bool(saved(kept, "undistilled")), process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    before = saved(kept, "undistilled")
    process = start("distill", tiny_params, whole.root, tmp_path)
    wait_until(lambda: bool(saved(kept, "undistilled") - before), process)
    process.terminate()
    output = process.communicate()[0]
    assert process.returncode == 143, output
    (line,) = [line for line in output.splitlines() if line.startswith("ended by SIGTERM")]
    assert "student up to step" in line and "undistilled up to step" in line
    assert "Traceback" not in output
    assert not (tmp_path / "student").exists() and not (tmp_path / "undistilled").exists()
    capfd.readouterr()
    made = run("distill", tiny_params, whole.root, tmp_path)
    assert made.items() <= whole.digests.items()
    lines = [line for line in capfd.readouterr().out.splitlines() if "goes on from" in line]
    assert ["student: " in line for line in lines] == [True, False], lines
    assert not list(kept.iterdir())
    assert not list(tmp_path.glob(".*"))


def test_dvc_repro_goes_on(
    tiny_params: dict[str, Any],
    whole: Whole,
    tmp_path: Path,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "params.json").write_text(json.dumps(tiny_params), "utf-8")
    inputs = [f"--{port}={whole.root / port}" for port in ("tokens", "encoder")]
    words = [sys.executable, "-m", "components", "finetune", "--params=params.json", *inputs]
    stage = {"cmd": shlex.join([*words, "--teacher=teacher"]), "outs": ["teacher"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"finetune": stage}}), "utf-8")
    monkeypatch.setenv(saving.VARIABLE, "0")
    dvc = str(Path(sys.executable).with_name("dvc"))
    subprocess.run([dvc, "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    process = subprocess.Popen(
        [dvc, "repro"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_until(lambda: bool(saved(kept, "teacher")), process)
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert not psutil.wait_procs(below, timeout=60)[1], "they outlive it"
    again = subprocess.run(
        [dvc, "repro"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "teacher: goes on from" in again.stdout
    assert content_digest(tmp_path / "teacher") == whole.digests["teacher"]


@pytest.mark.usefixtures("kept")
def test_decant_run_ends_its_steps_and_goes_on(
    tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    (tmp_path / "params.json").write_text(json.dumps(tiny_params), "utf-8")

    def start_run() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines", "run", "--params=params.json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def works_on(step: str) -> bool:
        """A first step is finished and the next one runs."""
        return any(tmp_path.glob("runs/*/.kfp/finished/*.json")) and any(
            tmp_path.glob(f"runs/*/.kfp/*/{step}/.*.partial-*")
        )

    process = start_run()
    wait_until(lambda: works_on("tokenize"), process)
    below = psutil.Process(process.pid).children(recursive=True)
    assert below
    process.kill()
    process.wait()
    assert not psutil.wait_procs(below, timeout=60)[1], "they outlive it"
    finished = len(list(tmp_path.glob("runs/*/.kfp/finished/*.json")))
    assert list(temporary.iterdir()), "what kill -9 leaves"

    process = start_run()
    wait_until(lambda: works_on("finetune"), process)
    below = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 143, output
    assert not psutil.wait_procs(below, timeout=10)[1]
    (place,) = tmp_path.glob("runs/*")
    assert f"goes on with the unfinished run in runs/{place.name}" in output
    assert output.count("its outputs are taken over") == finished
    lines = [line for line in output.splitlines() if line.startswith("ended by SIGTERM")]
    assert "2 of 8" in lines[-1] and f"runs/{place.name}" in lines[-1]
    assert "Traceback" not in output
    assert not list(temporary.iterdir()), "KFP's own too"
