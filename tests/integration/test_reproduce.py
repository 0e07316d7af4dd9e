"""A registered version, from its registry entry back to the same bytes: real git, DVC, MLflow."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.integration.checkout import fresh_environment, make_checkout, run, write_params

pytestmark = pytest.mark.slow
MODEL = ["--model", "decant-student", "--version", "1"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return fresh_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def checkout(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_params: dict[str, Any],
    environment: dict[str, str],
) -> Path:
    """Version 1 was made with a parameter that nobody committed; the checkout has moved on."""
    folder = make_checkout(tmp_path_factory.mktemp("checkout"), tiny_params, environment)
    committed = (folder / "params.yaml").read_text()
    params = YAML(typ="safe").load(committed)
    params["distill"]["training"]["epochs"] = 3
    write_params(params, folder / "params.yaml")
    run(["dvc", "repro"], folder, environment)
    (folder / "params.yaml").write_text(committed)
    (folder / "notes.txt").write_text("a later commit")
    run(["git", "add", "notes.txt"], folder, environment)
    run(["git", "commit", "--quiet", "--message", "later"], folder, environment)
    return folder


@pytest.fixture(scope="module")
def client(environment: dict[str, str]) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(environment["MLFLOW_TRACKING_URI"])


def pipelines(
    command: list[str], folder: Path, environment: dict[str, str], exit_code: int = 0
) -> str:
    return run(
        [sys.executable, "-m", "pipelines", *command], folder, environment, exit_code=exit_code
    )


def verdicts(output: str) -> dict[str, str]:
    """artifact → the last words of its line in the table."""
    rows = output[output.index("artifact ") :].splitlines()[1:]
    return {line.split()[0]: " ".join(line.split()[1:]) for line in rows if line.strip()}


def test_lineage_leads_to_commit_parameters_data_and_runs(
    checkout: Path, environment: dict[str, str]
) -> None:
    shown = pipelines(["lineage", *MODEL], checkout, environment)
    first = run(["git", "rev-parse", "HEAD~1"], checkout, environment).strip()
    assert f"{first}, with files that differed from it" in shown
    assert "distill.training.epochs = 3" in shown
    assert "data/corpus/reviews.csv" in shown

    lineage = json.loads(pipelines(["lineage", *MODEL, "--json"], checkout, environment))
    assert lineage["commit"] == first and lineage["dirty"]
    steps = {one["step"]: one for one in lineage["steps"]}
    assert list(steps) == [
        *("ingest", "tokenize", "finetune", "transfer_weights"),
        *("distill", "export_onnx", "evaluate", "register"),
    ]
    assert {one["status"] for one in steps.values()} == {"FINISHED"}
    assert len({one["parent_id"] for one in steps.values()}) == 1
    for step in steps.values():
        card = json.loads((checkout / _card(step["step"])).read_text())
        assert step["identity"] == card["identity"]
        assert step["params"] == card["params"]
    ports = {"corpus", "encoder", "tokens", "teacher", "initial_student", "student", "undistilled"}
    assert set(lineage["digests"]) == ports | {"onnx", "evaluation", "report"}


def test_what_dvc_holds_is_restored_and_equal(
    checkout: Path, environment: dict[str, str], client: Any
) -> None:
    output = pipelines(["reproduce", *MODEL], checkout, environment)
    found = verdicts(output)
    for port in ("corpus", "encoder", "tokens", "teacher", "initial_student", "student", "onnx"):
        assert found[port].endswith("equal restored"), output
    assert "measured times" in found["report"]
    assert found["student/model.onnx"].endswith("equal")
    assert "decant-student/1 is reproduced" in output
    assert len(client.search_model_versions("name = 'decant-student'")) == 1, "none is added"


def test_a_remote_gives_what_a_lock_names_that_was_committed_later(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """On a clone without a cache, as a colleague would: nothing has to be trained again."""
    clone, cache = tmp_path / "clone", checkout / ".dvc" / "cache"
    run(["git", "clone", "--quiet", str(checkout), str(clone)], tmp_path, environment)
    shutil.copy(checkout / "dvc.lock", clone / "dvc.lock")
    run(["dvc", "remote", "add", "--default", "store", str(tmp_path / "store")], clone, environment)
    run(["git", "add", "--all"], clone, environment)
    run(["git", "commit", "--quiet", "--message", "the lock"], clone, environment)
    run(["dvc", "config", "--local", "cache.dir", str(cache)], clone, environment)
    run(["dvc", "push", "--with-deps", "evaluate"], clone, environment)
    run(["dvc", "config", "--local", "--unset", "cache.dir"], clone, environment)

    fresh = environment | {"DECANT_CACHE": str(tmp_path / "cache")}
    found = verdicts(pipelines(["reproduce", *MODEL, "--clean"], clone, fresh))
    for port in ("corpus", "encoder", "teacher", "student", "undistilled", "onnx", "evaluation"):
        assert found[port].endswith("equal restored"), found
    assert not (clone / "runs" / "decant-student-1").exists()


def test_every_step_run_anew_gives_the_same_digests(
    checkout: Path, environment: dict[str, str]
) -> None:
    folder = checkout / "runs" / "anew"
    command = ["reproduce", *MODEL, "--folder", str(folder), "--rebuild", "--clean"]
    output = pipelines(command, checkout, environment)
    found = verdicts(output)
    for port in ("corpus", "teacher", "student", "onnx", "evaluation"):
        assert found[port].endswith("equal run"), output
    assert not folder.exists()


def test_a_digest_that_differs_is_shown_and_ends_with_1(
    checkout: Path, environment: dict[str, str], client: Any
) -> None:
    tag = "decant.digest.teacher"
    before = client.get_model_version("decant-student", "1").tags[tag]
    client.set_model_version_tag("decant-student", "1", tag, "0" * 64)
    try:
        output = pipelines(["reproduce", *MODEL], checkout, environment, exit_code=1)
    finally:
        client.set_model_version_tag("decant-student", "1", tag, before)
    found = verdicts(output)
    assert found["teacher"] == f"{'0' * 16} {before[:16]} differs restored"
    assert found["onnx"].endswith("equal restored")
    assert "decant-student/1 is not reproduced" in output
    assert "from DVC, not made here: teacher; --rebuild" in output
    assert "the recorded libraries, threads and machine are the same" in output


def test_code_that_was_never_committed_is_reported(
    checkout: Path, environment: dict[str, str], client: Any
) -> None:
    run_id = client.get_model_version("decant-student", "1").tags["decant.run.distill"]
    before = client.get_run(run_id).data.tags["decant.code"]
    client.set_tag(run_id, "decant.code", "0" * 64)
    try:
        output = pipelines(["reproduce", *MODEL], checkout, environment, exit_code=2)
    finally:
        client.set_tag(run_id, "decant.code", before)
    assert "[code-uncommitted]" in output
    assert ": distill" in output and "Traceback" not in output


def test_a_folder_with_something_else_is_left_alone(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    command = ["reproduce", *MODEL, "--folder", str(tmp_path)]
    output = pipelines(command, checkout, environment, exit_code=2)
    assert "[output-taken]" in output
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_commit_of_another_repository_is_reported(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(
        checkout, copy, ignore=shutil.ignore_patterns(".git", "cache", "runs", "artifacts", "tmp")
    )
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "new"]):
        run(["git", *command], copy, environment)
    assert "which this repository does not have" in pipelines(
        ["lineage", *MODEL], copy, environment
    )
    output = pipelines(["reproduce", *MODEL], copy, environment, exit_code=2)
    assert "[commit-unknown]" in output and "git fetch" in output


def _card(step: str) -> str:
    from decant.runtime.steps import load_step
    from pipelines.local_run.pipeline_run import artifact_folder

    return f"{artifact_folder(load_step(step).output_ports[0])}/card.json"
