"""finetune and distill in two processes: the same result as in one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_card, read_sidecar
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from decant.training import processes
from tests.errors import raises

BEFORE = ("ingest", "tokenize")
PARALLEL = ("finetune", "transfer_weights", "distill")


def run(root: Path, params: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        step = load_step(name)
        ports = {port: root / port for port in (*step.input_ports, *step.output_ports)}
        run_step(name, section_of(params, name, step.params), ports)


def read_curves(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "curves.csv").select_dtypes("number")


@pytest.mark.slow
def test_two_processes_make_what_one_makes(
    calm_params: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one, two = tmp_path / "one", tmp_path / "two"
    run(one, calm_params, BEFORE + PARALLEL)
    two.mkdir()
    for port in ("corpus", "encoder", "tokens"):
        (two / port).symlink_to(one / port)
    monkeypatch.setenv(processes.VARIABLE, "2")
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache-of-two"))
    run(two, calm_params, PARALLEL)
    for port in ("teacher", "student", "undistilled"):
        alone, shared = (load_file(root / port / "model.safetensors") for root in (one, two))
        assert alone.keys() == shared.keys()
        for name, tensor in alone.items():
            np.testing.assert_allclose(shared[name], tensor, atol=5e-4, err_msg=name)
        curves, others = (read_curves(root / port) for root in (one, two))
        # The mean of the validation's losses weighs the rows of a batch that leaves a rest anew.
        np.testing.assert_allclose(others.to_numpy(), curves.to_numpy(), atol=5e-3)
        for column in ("train_loss", "validation_accuracy"):
            np.testing.assert_allclose(others[column], curves[column], atol=5e-5)
    first, second = read_card(one / "student"), read_card(two / "student")
    assert second.metrics == pytest.approx(first.metrics)
    assert second.identity != first.identity  # its teacher differs in the last bits
    sidecar = read_sidecar(two / "student")
    assert sidecar is not None
    assert sidecar.measures["student_training_seconds"] > 0


@pytest.mark.slow
def test_what_goes_wrong_in_a_process_is_reported_once_and_nothing_is_written(
    calm_params: dict[str, Any], tmp_path: Path
) -> None:
    environment = os.environ | {"DECANT_CACHE": str(tmp_path / "cache"), "DECANT_PROCESSES": "3"}
    run(tmp_path, calm_params, BEFORE)
    file = tmp_path / "params.json"
    file.write_text(json.dumps(calm_params), "utf-8")
    ports = {port: str(tmp_path / port) for port in ("tokens", "encoder", "teacher")}
    result = subprocess.run(
        [sys.executable, "-m", "components", "finetune", "--params", str(file)]
        + [word for port, path in ports.items() for word in (f"--{port}", path)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "3 processes cannot share a batch of 16 rows evenly" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "teacher").exists()
    assert not list(tmp_path.glob(".teacher*"))


@pytest.mark.parametrize("text", ["0", "two", "-1", "2000", ""])
def test_a_number_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processes.VARIABLE, text)
    with raises("variable-value", f"DECANT_PROCESSES is '{text}'"):
        processes.wanted()
