"""The quick preset: over the user's file, under single values, and valid for every step."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from decant.runtime.identity import PROJECT
from pipelines.__main__ import main
from pipelines.arguments import pipeline_arguments
from pipelines.commands import run as run_module
from pipelines.onboarding.presets import QUICK
from tests.example_figures import metrics


def sections(arguments: dict[str, str]) -> dict[str, Any]:
    return {
        name.removesuffix("_params"): json.loads(value)
        for name, value in arguments.items()
        if name.endswith("_params")
    }


def test_the_preset_fits_every_step_and_shortens_what_takes_long() -> None:
    full = sections(pipeline_arguments(PROJECT / "params.yaml"))
    quick = sections(pipeline_arguments(PROJECT / "params.yaml", presets=[QUICK]))
    assert quick["ingest"] == full["ingest"]
    assert quick["tokenize"] == full["tokenize"]
    assert (full["evaluate"]["quick"], quick["evaluate"]["quick"]) == (False, True)
    for step, plan in (
        ("finetune", "training"),
        ("distill", "training"),
        ("distill", "undistilled_training"),
    ):
        before, after = full[step][plan], quick[step][plan]
        rows = full[step].get("epoch_rows", 1), quick[step].get("epoch_rows", 1)
        assert after["epochs"] * rows[1] < before["epochs"] * rows[0]
        assert after["learning_rate"] >= before["learning_rate"]


def test_run_lays_it_over_the_file_and_overrides_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, str] = {}

    def remember(arguments: dict[str, str], output: Path, **_: object) -> None:
        given.update(arguments)
        (output / "reports").mkdir(parents=True)
        (output / "reports" / "metrics.json").write_text(json.dumps(metrics()))

    monkeypatch.setattr(run_module, "run_pipeline", remember)
    mine = tmp_path / "mine.yaml"
    mine.write_text("finetune: {training: {epochs: 9, learning_rate: 0.0002}}\n")
    output = ["--output", str(tmp_path / "out")]
    words = ["run", *output, "--params", str(mine), "--quick", "--set", "distill.epochs=7"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0
    found = sections(given)
    assert found["finetune"]["training"]["epochs"] == 2
    assert found["finetune"]["training"]["learning_rate"] == 0.0002
    assert found["distill"]["training"]["epochs"] == 7
    assert found["register"]["enabled"] is False
