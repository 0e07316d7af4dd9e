"""Killed with -9, and run again: the same bytes, and not from the start."""

import json
import os
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


def test_finetune_and_distill_end_equal_byte_by_byte(
    tiny_params: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    root, again, kept = tmp_path / "whole", tmp_path / "again", tmp_path / "cache" / "checkpoints"

    def saved(training: str) -> set[Path]:
        return set(kept.glob(f"*/*/{training}-cpu-1/checkpoint-*.sha256"))

    for name in ("ingest", "tokenize", "finetune", "transfer_weights", "distill"):
        made = run(name, tiny_params, root, root)
        if name not in ("finetune", "distill"):
            continue
        assert not list(kept.iterdir())
        last = {"finetune": "teacher", "distill": "undistilled"}[name]
        process = start(name, tiny_params, root, again)
        wait_until(lambda last=last: bool(saved(last)), process)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        if name == "finetune":
            assert_sigterm_says_what_is_kept(start(name, tiny_params, root, again), saved)
        assert {path.name for path in again.iterdir() if path.name[0] != "."}.isdisjoint(made)
        capfd.readouterr()
        assert run(name, tiny_params, root, again) == made
        lines = [line for line in capfd.readouterr().out.splitlines() if "goes on from" in line]
        trainings = ["teacher"] if name == "finetune" else ["student", "undistilled"]
        assert len(lines) == len(trainings), lines
        assert all(f"{one}: goes on" in line for one, line in zip(trainings, lines, strict=True))
        assert not list(kept.iterdir())
        assert not list(again.glob(".*"))


def assert_sigterm_says_what_is_kept(
    process: "subprocess.Popen[str]", saved: Callable[[str], set[Path]]
) -> None:
    before = saved("teacher")
    wait_until(lambda: bool(saved("teacher") - before), process)
    process.terminate()
    output = process.communicate()[0]
    assert process.returncode == 143, output
    (line,) = [line for line in output.splitlines() if line.startswith("ended by")]
    assert "SIGTERM" in line and "teacher up to step" in line
    assert "Traceback" not in output


def test_decant_run_ends_its_steps_and_goes_on(
    tiny_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
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
