"""The whole DAG on a tiny corpus, for real: kfp.local and `dvc repro` make the same artifacts."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from decant.runtime.artifacts import read_card, read_sidecar
from decant.runtime.identity import content_digest
from decant.runtime.steps import STEPS, load_step
from pipelines.local_run.pipeline_run import artifact_folder
from tests.integration.checkout import fresh_environment, make_checkout, run, write_params

pytestmark = pytest.mark.slow
CONTENT_PORTS = [
    port
    for name in STEPS
    for port in load_step(name).output_ports
    if port not in load_step(name).varying
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return fresh_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def repository(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_params: dict[str, Any],
    environment: dict[str, str],
) -> Path:
    """A copy of the project under git and DVC, with the tiny corpus, reproduced once."""
    folder = make_checkout(tmp_path_factory.mktemp("checkout"), tiny_params, environment)
    run(["dvc", "repro"], folder, environment)
    return folder


def executed(log: str) -> set[str]:
    return {step for step in STEPS if f"Running stage '{step}'" in log}


def test_every_step_ran_and_says_what_it_made(repository: Path) -> None:
    for name in STEPS:
        for port in load_step(name).output_ports:
            folder = repository / artifact_folder(port)
            assert read_card(folder).step == name
            sidecar = read_sidecar(folder)
            assert sidecar is not None and sidecar.run_id


def test_a_second_repro_only_looks_whether_the_model_is_registered(
    repository: Path, environment: dict[str, str]
) -> None:
    lock = (repository / "dvc.lock").read_bytes()
    log = run(["dvc", "repro"], repository, environment)
    assert executed(log) == {"register"}
    assert "was registered before: models:/" in log
    assert (repository / "dvc.lock").read_bytes() == lock


def test_a_new_store_gets_the_model_though_nothing_has_changed(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """DVC could answer from its run cache, and then nothing would be registered there."""
    elsewhere = {**environment, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'other.db'}"}
    log = run(["dvc", "repro"], repository, elsewhere)
    assert executed(log) == {"register"}
    assert "registered: models:/" in log
    assert "was registered before" not in log
    run(["dvc", "repro"], repository, environment)  # the receipt of its own store


def test_metrics_and_params_are_dvcs(repository: Path, environment: dict[str, str]) -> None:
    shown = json.loads(run(["dvc", "metrics", "show", "--json"], repository, environment))
    figures = shown[""]["data"]["reports/metrics.json"]["data"]
    assert 0 < figures["student"]["accuracy"] <= 1
    plots = json.loads(run(["dvc", "plots", "show", "--json"], repository, environment))
    assert plots.get("errors", []) == []
    assert len(plots["data"]) >= 3


@pytest.fixture(scope="module")
def local_run(
    repository: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The outputs of `decant run` on the same parameters, and what it showed."""
    output = tmp_path_factory.mktemp("local") / "out"
    command = [sys.executable, "-m", "pipelines", "run", "--output", str(output)]
    return output, run(command, repository, environment)


def test_kfp_local_makes_the_same_artifacts(repository: Path, local_run: tuple[Path, str]) -> None:
    output, _ = local_run
    theirs = {port: content_digest(output / artifact_folder(port)) for port in CONTENT_PORTS}
    ours = {port: content_digest(repository / artifact_folder(port)) for port in CONTENT_PORTS}
    assert theirs == ours


def test_a_local_run_shows_its_steps_and_keeps_kfps_words_in_a_file(
    local_run: tuple[Path, str],
) -> None:
    output, shown = local_run
    lines = shown.splitlines()
    for number, name in enumerate(STEPS, start=1):
        title = f"[{number}/{len(STEPS)}] {name}"
        assert lines.count(title) == 1, name
        assert sum(line.startswith(f"{title} done in ") for line in lines) == 1, name
    assert "rows per class and split" in lines, "the steps' own tables"
    assert str(output / "reports" / "report.html") in lines[-2]
    assert lines[-1] in ("gate: passed", "gate: failed") or lines[-1].startswith("gate: failed: ")

    log = (output / "kfp.log").read_text("utf-8")
    for of_kfp in (
        "KFP Executor",
        "executor_input",
        "Executing task",
        "Warning",
        "parameterValues",
    ):
        assert of_kfp not in shown
        assert of_kfp in log
    assert "rows per class and split" not in log
    assert not (output / ".kfp").exists()


def test_a_step_that_fails_shows_its_message_and_the_log(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = [sys.executable, "-m", "pipelines", "run", "--output", str(output)]
    command += ["--set", "tokenize.max_length_tokens=65"]  # the tiny encoder has 64 positions
    shown = run(command, repository, environment, exit_code=2)
    for of_the_step in ("error[parameter-value]", "tokenize.max_length_tokens", "65", "64"):
        assert of_the_step in shown
    assert "[2/8] tokenize failed after " in shown
    assert "[3/8]" not in shown
    assert "error[pipeline-failed]" in shown
    assert "tokenize.tokens, finetune.teacher" in shown
    assert "Traceback" not in shown
    assert str(output / "kfp.log") in shown
    assert "FAILURE" in (output / "kfp.log").read_text("utf-8")
    assert (output / "artifacts" / "corpus").is_dir(), "what was made is kept"


def test_a_changed_parameter_reruns_its_step_and_what_follows(
    repository: Path, environment: dict[str, str]
) -> None:
    before = (repository / "params.yaml").read_text()
    params = YAML(typ="safe").load(before)
    params["distill"]["loss"] = "mse"
    write_params(params, repository / "params.yaml")
    try:
        diff = run(["dvc", "params", "diff"], repository, environment)
        assert "distill.loss" in diff
        log = run(["dvc", "repro"], repository, environment)
    finally:
        (repository / "params.yaml").write_text(before)
    assert executed(log) == {"distill", "export_onnx", "evaluate", "register"}
    log = run(["dvc", "repro"], repository, environment)
    assert executed(log) == {"register"}, "the others come from the run cache; this is an effect"


def test_a_changed_students_file_reruns_only_what_builds_students(
    repository: Path, environment: dict[str, str]
) -> None:
    file = repository / "decant" / "students" / "cnn.py"
    before = file.read_text()
    file.write_text(before + "\n# a remark\n")
    try:
        log = run(["dvc", "status", "--json"], repository, environment)
    finally:
        file.write_text(before)
    changed = set(json.loads(log[log.index("{") :]))
    assert changed == {"transfer_weights", "distill", "export_onnx", "register"}


def test_an_experiment_varies_one_value_on_changed_data_and_registers_nothing(
    repository: Path, environment: dict[str, str]
) -> None:
    """A changed CSV reruns everything that reads it, in an experiment as in `dvc repro`."""
    run(["git", "add", "--all"], repository, environment)
    run(["git", "commit", "--quiet", "--message", "reproduced"], repository, environment)
    file = repository / "data" / "corpus" / "reviews.csv"
    file.write_text(file.read_text() + "a superb and lovely film,positive,film 9999\n")
    log = run(["dvc", "exp", "run", "-S", "distill.temperature=4"], repository, environment)
    assert {"ingest", "tokenize", "finetune", "distill", "evaluate"} <= executed(log)
    params = YAML(typ="safe").load((repository / "params.yaml").read_text())
    assert params["distill"]["temperature"] == 4
    receipt = json.loads((repository / "artifacts" / "receipt" / "receipt.json").read_text())
    assert receipt["registered"] is False
    assert "experiment" in " ".join(receipt["reasons"])
