"""Commands that only need to know the steps load nothing that a step computes with."""

import subprocess
import sys
from pathlib import Path

import pytest

from decant.runtime.identity import PROJECT
from tests.pipelines.kfp_api import Frame
from tests.pipelines.kfp_server import KfpServer

HEAVY = {
    "datasets",
    "duckdb",
    "dvc",
    "matplotlib",
    "mlflow",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "torch",
    "transformers",
}
# Prints which modules are loaded when the command ends, by whatever way.
PROGRAM = """
import atexit, sys
from pipelines.__main__ import entry
atexit.register(lambda: print("LOADED", *sys.modules))
entry()
"""
DONE = Frame(state="SUCCEEDED", tasks={"ingest": "SUCCEEDED"})


def loaded_by(*command: str) -> set[str]:
    """The modules that a command has loaded in a process of its own when it has succeeded."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.partition("LOADED ")[2].split())


@pytest.mark.parametrize("profile", [(), ("--profile", "multi-node")])
def test_compile_knows_the_steps_without_what_they_compute_with(
    far_from_home: Path, profile: tuple[str, ...]
) -> None:
    image = f"registry.example/decant-steps@sha256:{'ab' * 32}"
    output = str(far_from_home / "decant.yaml")
    loaded = loaded_by("compile", "--image", image, "--output", output, *profile)
    assert "components.distill.contract" in loaded
    assert not loaded & HEAVY
    assert not [name for name in loaded if name.endswith(".step")]


def test_submit_waits_without_them(server: KfpServer) -> None:
    server.api.frames = (DONE,)
    loaded = loaded_by("submit", "--host", server.url, "--mlflow-uri", "http://mlflow", "--wait")
    assert server.api.runs
    assert not loaded & HEAVY


def test_schedule_starts_without_them(server: KfpServer) -> None:
    words = ("--name", "nightly", "--every", "1d", "--mlflow-uri", "http://mlflow")
    loaded = loaded_by("schedule", "--host", server.url, *words)
    assert not loaded & HEAVY


@pytest.mark.slow
def test_doctor_checks_mlflow_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    loaded = loaded_by("doctor")
    assert (tmp_path / "mlflow.db").is_file()
    assert not loaded & (HEAVY - {"dvc"})


@pytest.mark.parametrize("step", ["finetune", "distill"])
def test_the_options_of_a_step_are_known_without_them(step: str) -> None:
    assert not loaded_by("step", step, "--help") & HEAVY
