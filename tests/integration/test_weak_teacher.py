"""distill stops before it labels the transfer set by a teacher that gives every text one class."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from decant.models.teacher import load_teacher, save_teacher
from decant.runner.run_step import run_step
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from tests.changed_artifacts import seal
from tests.errors import raises


@pytest.mark.slow
def test_a_constant_teacher_is_not_distilled_unless_told_to(
    tmp_path: Path, tiny_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DECANT_TRACKING", "off")
    params: dict[str, Any] = json.loads(json.dumps(tiny_params))
    params["finetune"]["training"]["epochs"] = 1
    params["distill"]["training"]["epochs"] = params["distill"]["undistilled_training"][
        "epochs"
    ] = 1

    def run(name: str) -> None:
        step = load_step(name)
        ports = {port: tmp_path / port for port in (*step.input_ports, *step.output_ports)}
        run_step(name, section_of(params, name, step.params), ports)

    for name in ("ingest", "tokenize", "finetune"):
        run(name)
    teacher = load_teacher(tmp_path / "teacher")
    with torch.no_grad():
        teacher.output.weight.zero_()
        teacher.output.bias.copy_(torch.tensor([5.0, 0.0]))
    save_teacher(teacher, tmp_path / "teacher")
    seal(tmp_path / "teacher")
    run("transfer_weights")
    with raises("teacher-weak", "'label'", "accuracy", "distill.allow_weak_teacher"):
        run("distill")
    assert len(list((tmp_path / "cache" / "logits").glob("*.npy"))) == 1  # of the validation rows
    assert not (tmp_path / "cache" / "rows").exists()
    assert not (tmp_path / "student").exists() and not (tmp_path / "undistilled").exists()
    params["distill"]["allow_weak_teacher"] = True
    run("distill")
    assert (tmp_path / "student" / "model.safetensors").is_file()
