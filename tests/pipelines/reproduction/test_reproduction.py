"""Verdicts on a rebuilt version, digest by digest, and when a commit is refused."""

import dataclasses
import os
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mlflow.artifacts
import pytest

from components.evaluate.machine import machine_facts
from decant.runtime import identity
from decant.runtime.artifacts import Card, write_json
from decant.runtime.identity import content_digest
from decant.runtime.steps import steps_behind
from pipelines.commands import reproduce
from pipelines.commands.lineage import _params
from pipelines.reproduction import checkout, rebuild
from pipelines.reproduction.digest_comparison import (
    compare_artifacts,
    compare_files,
    other_machine,
    other_versions,
)
from pipelines.reproduction.version_lineage import Lineage, StepRun
from tests.errors import raises


def lineage(**values: Any) -> Lineage:
    known: dict[str, Any] = {
        **dict.fromkeys(("run_id", "identity", "commit", "dvc_lock", "test_digest"), ""),
        **{"sources": {}, "pins": {}, "digests": {}},
        **{"name": "tiny", "version": "1", "aliases": (), "created": 0},
        **{"dirty": False, "steps": ()},
    }
    return Lineage(**(known | values))


def artifact(folder: Path, text: str, *, varying: bool = False, numpy: str = "2.0") -> str:
    """Written as a step would; returns its digest."""
    folder.mkdir(parents=True)
    card = Card(
        step="a step",
        port=folder.name,
        identity="",
        varying=varying,
        params={},
        inputs={},
        metrics={},
        versions={"numpy": numpy},
        threads={"torch": 2},
    )
    write_json(folder / "card.json", dataclasses.asdict(card))
    (folder / "content.txt").write_text(text)
    return content_digest(folder)


def test_every_port_has_its_verdict(tmp_path: Path) -> None:
    artifacts = tmp_path / "artifacts"
    corpus = artifact(artifacts / "corpus", "the same")
    artifact(artifacts / "teacher", "another")
    artifact(artifacts / "tokens", "nobody recorded this")
    artifact(tmp_path / "reports", "times", varying=True)
    recorded = {"corpus": corpus, "teacher": "0" * 64, "student": "1" * 64, "report": "2" * 64}
    found = {one.name: one for one in compare_artifacts(lineage(digests=recorded), tmp_path)}
    assert {name: one.verdict for name, one in found.items()} == {
        "corpus": "equal",
        "teacher": "differs",
        "tokens": "not recorded",
        "report": "measured times",
        **dict.fromkeys(
            ("encoder", "initial_student", "student", "undistilled", "onnx", "evaluation"),
            "missing",
        ),
    }
    decides = {name for name, one in found.items() if not one.is_reproduced}
    assert decides == set(found) - {"corpus", "tokens", "report"}


def test_the_registered_models_files_are_compared_one_by_one(tmp_path: Path) -> None:
    registered = tmp_path / "model" / "artifacts" / "exported"
    now = tmp_path / "artifacts" / "onnx" / "student"
    for folder in (registered, now):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        (folder / "model.onnx").write_text("graph")
    (registered / "README.md").write_text("the card, made by register")
    (registered / "tokenizer.json").write_text("words")

    def verdicts() -> dict[str, str]:
        return {one.name: one.verdict for one in compare_files(tmp_path / "model", tmp_path)}

    same = {"student/manifest.json": "equal", "student/model.onnx": "equal"}
    assert verdicts() == same | {"student/tokenizer.json": "missing"}
    (now / "tokenizer.json").write_text("words")
    (now / "model.onnx").write_text("graph, one byte more")
    assert verdicts() == same | {
        "student/model.onnx": "differs",
        "student/tokenizer.json": "equal",
    }


def test_a_registered_model_of_another_kind_is_reported(tmp_path: Path) -> None:
    with raises("model-foreign", "manifest.json"):
        compare_files(tmp_path, tmp_path)


def test_libraries_that_changed_since_are_named(tmp_path: Path) -> None:
    digest = artifact(tmp_path / "artifacts" / "teacher", "weights", numpy="2.1")
    before = {"numpy": "2.0", "torch": "2.5"}
    run = StepRun(
        step="finetune",
        run_id="r",
        artifacts={"teacher": digest},
        versions=before,
        threads={"torch": 8},
    )
    assert other_versions(lineage(steps=(run,)), tmp_path) == {
        "threads of torch": "8, now 2",
        "numpy": "2.0, now 2.1",
        "torch": "2.5, now absent",
    }


def test_a_machine_that_is_another_is_named() -> None:
    here = machine_facts(threads=1)
    assert other_machine(lineage(machine=here)) == {}
    assert other_machine(lineage()) == {}, "what is not recorded explains nothing"
    there = here.model_copy(update={"cpu": "an abacus", "cores": 640})
    assert other_machine(lineage(machine=there)) == {
        "cpu": f"an abacus, now {here.cpu}",
        "cores": f"640, now {here.cores}",
    }


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a repository that is taken for the project's."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    (folder / "params.yaml").write_text(
        "seed: 13\ndistill:\n  loss: kl\n  training: {epochs: 2, batch_size: 32}\nregister: {}\n"
    )
    person = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    for command in (["init", "-q"], ["add", "."], [*person, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *command], cwd=folder, env=environment, check=True)
    for module in (identity, rebuild):
        monkeypatch.setattr(module, "PROJECT", folder)
    return checkout.git("rev-parse", "HEAD").stdout.decode().strip()


def test_parameters_that_differed_from_the_commit(commit: str) -> None:
    params = {"loss": "kl", "training": {"epochs": 3, "batch_size": 32.0}, "seed": 14}
    run = StepRun(step="distill", run_id="r", params=params)
    found = lineage(commit=commit, steps=(run,))
    assert checkout.changed_params(found) == {"seed": 14, "distill.training.epochs": 3}
    assert checkout.unknown_params(found) == [
        *("ingest", "tokenize", "finetune", "transfer_weights", "export_onnx", "evaluate")
    ]
    assert checkout.changed_params(lineage(commit="0" * 40, steps=(run,))) is None


@pytest.mark.parametrize(
    ("known", "values"),
    [
        ({"commit": ""}, ["tiny/1"]),
        ({"commit": "0" * 40}, ["0" * 40, "git fetch"]),
    ],
)
def test_a_commit_that_is_not_known_or_not_here_is_refused(
    commit: str, tmp_path: Path, known: dict[str, str], values: list[str]
) -> None:
    with raises("commit-unknown", *values):
        rebuild.check_out(lineage(**known), tmp_path / "worktree")
    assert not (tmp_path / "worktree").exists()


def test_as_committed_is_said_only_where_all_is_known(commit: str) -> None:
    known = {"loss": "kl", "training": {"epochs": 2, "batch_size": 32}, "seed": 13}
    runs = [
        StepRun(step=step, run_id="r", params=known if step == "distill" else {"seed": 13})
        for step in steps_behind("register")
    ]
    assert _params(lineage(commit=commit, steps=tuple(runs))) == [("parameters", "as committed")]
    (_, words), (_, unknown) = _params(lineage(commit=commit, steps=tuple(runs[1:])))
    assert words == "no recorded one differs from params.yaml"
    assert unknown == f"not recorded: {runs[0].step}"


def test_a_dirty_version_whose_runs_are_gone_is_refused(commit: str, tmp_path: Path) -> None:
    with raises("code-uncommitted", commit[:12], "ingest, tokenize"):
        rebuild.check_out(lineage(commit=commit, dirty=True), tmp_path / "worktree")
    assert not (tmp_path / "worktree").exists(), "nothing was checked out for it"


def test_a_worktree_whose_path_holds_a_space_is_used_again(commit: str, tmp_path: Path) -> None:
    folder = tmp_path / "of the version"
    for _ in range(2):
        assert rebuild._add_worktree(lineage(commit=commit), folder) == folder
    (tmp_path / "file").touch()
    with raises("output-taken", str(tmp_path / "file")):
        rebuild._add_worktree(lineage(commit=commit), tmp_path / "file")


def test_a_model_whose_files_are_gone_is_reported_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reproduce, "registry", nullcontext)
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda *_, **__: "")
    with (
        raises("model-foreign", "manifest.json") as told,
        reproduce._registered_model(lineage()),
    ):
        pass
    assert "deleted from the artifact store" in told.value.hint
