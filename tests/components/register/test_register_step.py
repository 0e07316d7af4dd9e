"""register, through the runner, on the embedded kind of store."""

import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from mlflow.tracking import MlflowClient

from components.register.contract import Params
from components.register.registry import copy_served_code, find_version, requirements
from decant.runner.run_step import run_step
from decant.runtime import git_repository
from decant.runtime.artifacts import read_json, write_json
from decant.runtime.identity import PROJECT
from decant.runtime.settings import parse
from decant.tasks.kinds import kinds
from decant.tracking.mlflow_store import open_client
from decant.tracking.registered_model import download_exported
from decant.tracking.sqlite_address import sqlite_uri
from tests.components.register.conftest import SECTION, known_metrics, write_card
from tests.errors import raises
from tests.spooling import Killed, dying_at


def register(ports: dict[str, Path], **changes: Any) -> dict[str, Any]:
    run_step("register", {**SECTION, **changes}, ports)
    receipt: dict[str, Any] = read_json(ports["receipt"] / "receipt.json")
    return receipt


def change_metrics(ports: dict[str, Path], section: str, **values: Any) -> None:
    file = ports["report"] / "metrics.json"
    metrics = read_json(file)
    metrics[section] |= values
    write_json(file, metrics)


def test_the_same_model_is_registered_once(ports: dict[str, Path], store: str) -> None:
    first = register(ports)
    assert (first["registered"], first["version"]) == (True, "1")
    assert first["model_uri"] == "models:/tiny/1"
    change_metrics(ports, "latency_p50_us", student={"model": 61.0, "end_to_end": 99.0})

    second = register(ports, alias="candidate")
    assert second == first | {"alias": "candidate"}, "without what differs, so that dvc.lock stays"
    assert second["identity"] == first["identity"]
    assert second["run_id"] == first["run_id"]
    client = open_client()
    assert str(client.get_model_version_by_alias("tiny", "candidate").version) == "1"

    write_json(ports["evaluation"] / "quality.json", {"student": {"accuracy": 0.79}})
    change_metrics(ports, "student", accuracy=0.79)
    third = register(ports)
    assert third["version"] == "2"
    assert len(client.search_model_versions("name = 'tiny'")) == 2

    other = register(ports, name="other name")
    assert other["model_uri"] == "models:/other name/1"

    client.delete_model_version("tiny", "2")
    assert register(ports)["version"] == "3"


def test_a_version_without_files_is_registered_again(
    ports: dict[str, Path], store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A moved checkout, `mlflow gc` or an expired bucket: the version is there, the model not."""
    register(ports)
    client = open_client()
    client.set_registered_model_alias("tiny", "champion", "1")
    place = Path(unquote(urlsplit(client.get_model_version_download_uri("tiny", "1")).path))
    shutil.rmtree(place)
    capsys.readouterr()
    again = register(ports)
    assert again["model_uri"] == "models:/tiny/2"
    assert f"models:/tiny/1 is this model, but its files are gone from {place.as_uri()}" in (
        " ".join(capsys.readouterr().out.split())
    )
    assert str(client.get_model_version_by_alias("tiny", "champion").version) == "1", "as it was"
    assert client.get_model_version("tiny", "1").tags["decant.lost"] == place.as_uri()
    assert register(ports)["version"] == "2"
    assert "are gone" not in capsys.readouterr().out


def test_the_version_says_where_it_comes_from(ports: dict[str, Path], store: str) -> None:
    receipt = register(ports)
    client = open_client()
    version = client.get_model_version("tiny", "1")
    tags = version.tags
    assert tags["decant.identity"] == receipt["identity"]
    assert tags["decant.digest.corpus"] == "c" * 64
    assert tags["decant.digest.teacher"] == "t" * 64
    assert len(tags["decant.digest.onnx"]) == len(tags["decant.digest.report"]) == 64
    assert tags["decant.digest.onnx"] != "o" * 64, "what was read, not what a card says of it"
    assert tags["decant.identity.evaluate"] == "identity of evaluate"
    assert tags["decant.run.register"] == receipt["run_id"]
    assert len(tags["decant.params"]) == 64
    assert tags["decant.commit"]
    assert ("decant.dvc_lock" in tags) == (PROJECT / "dvc.lock").is_file()

    assert version.description.startswith("# tiny\n"), "the Hub's metadata is no text"
    for line in (
        "| this model | 78.0 % | 73.0 to 83.0 % |",
        "| its teacher | 80.0 % | 75.0 to 85.0 % |",
        "| control: TF-IDF and logistic regression on the same labels | 66.0 % | ",
        "keeps 97.5 % of its teacher's accuracy (95 % interval, paired bootstrap: 95.0 to 100.0 %)",
        "tokenization included: 100 µs, 50.0 times less than its teacher (bert, 6 layers",
        "cut after 32 tokens",
        "- test_digest: `" + "ab" * 32,
        "`negative`, `positive`",
    ):
        assert line in version.description
    assert "\n\n\n" not in version.description

    run = client.get_run(receipt["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["student.accuracy"] == 0.78
    assert run.data.metrics["student.retention_interval.low"] == 0.95
    dataset = run.inputs.dataset_inputs[0].dataset
    assert dataset.digest == ("ab" * 32)[:36]
    assert json.loads(dataset.source)["data.rows.test"] == 100
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"README.md"}
    model = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert model.source_run_id == run.info.run_id
    folder = Path(str(model.artifact_location).removeprefix("file://")) / "artifacts" / "exported"
    card = (folder / "README.md").read_text("utf-8")
    assert card.startswith("---\n") and card.endswith(version.description)
    exported = {file.name for file in (ports["onnx"] / "student").iterdir()}
    assert {file.name for file in folder.iterdir()} == exported | {"README.md"}
    assert {metric.key: metric.value for metric in model.metrics}["student.accuracy"] == 0.78


def test_the_teachers_run_and_the_sources_pins_are_found(
    ports: dict[str, Path], store: str, tmp_path: Path
) -> None:
    client = open_client()
    experiment = client.create_experiment("earlier", (tmp_path / "mlruns").as_uri())
    runs = {
        step: client.create_run(
            experiment, tags={"decant.step": step, "decant.identity": f"identity of {step}"}
        ).info.run_id
        for step in ("ingest", "finetune")
    }
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    params = {"source": "hf://datasets/org/reviews@main/a.csv", "encoder": "hf://org/bert@main"}
    write_card(corpus, "ingest", {"source": "sha256 of the source"}, params)
    client.log_artifact(runs["ingest"], str(corpus / "card.json"), "corpus")
    evaluate = client.create_run(
        experiment,
        tags={
            "decant.step": "evaluate",
            "decant.identity": "identity of evaluate",
            **{f"decant.behind.{step}": run for step, run in runs.items()},
        },
    ).info.run_id
    for port in ("evaluation", "report"):
        sidecar = {"run_id": evaluate, "step_runs": {"evaluate": evaluate}}
        rest = {"started": "", "seconds": 1.0, "host": "", "measures": {}}
        write_json(ports[port] / "sidecar.json", sidecar | rest)
    register(ports)
    version = client.get_model_version("tiny", "1")
    assert version.tags["decant.teacher_run"] == runs["finetune"]
    assert version.tags["decant.run.evaluate"] == evaluate
    for step in ("ingest", "finetune", "evaluate"):
        assert version.tags[f"decant.identity.{step}"] == f"identity of {step}"
    assert version.tags["decant.pin.source"] == "sha256 of the source"
    assert version.tags["decant.source.encoder"] == "hf://org/bert@main"
    assert "pin.source: `sha256 of the source`" in version.description
    dataset = client.get_run(version.run_id).inputs.dataset_inputs[0].dataset
    assert json.loads(dataset.source)["sources"] == {"source": "sha256 of the source"}


def test_a_failed_gate_registers_nothing_and_says_why(ports: dict[str, Path], store: str) -> None:
    change_metrics(ports, "gate", passed=False, reasons=["accuracy 0.78 is below 0.9"])
    receipt = register(ports)
    assert receipt["registered"] is False
    assert receipt["version"] is None
    assert receipt["reasons"] == ["the gate failed: accuracy 0.78 is below 0.9"]
    assert not open_client().search_registered_models()
    before = (ports["receipt"] / "receipt.json").read_bytes()
    with raises("gate-failed", "0.78", "0.9"):
        register(ports, strict=True)
    assert (ports["receipt"] / "receipt.json").read_bytes() == before


def test_what_is_off_needs_no_mlflow(
    ports: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert register(ports, enabled=False)["reasons"] == ["register.enabled is false"]
    monkeypatch.setenv("DVC_EXP_NAME", "bold-idea")
    assert "dvc exp" in register(ports)["reasons"][0]
    with raises("tracking-off", "DECANT_TRACKING"):
        register(ports, in_experiments=True)
    monkeypatch.delenv("DVC_EXP_NAME")
    with raises("tracking-off", "DECANT_TRACKING"):
        register(ports)


def test_a_server_out_of_reach_is_an_error_without_its_password(
    ports: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:pl4nted@127.0.0.1:9")
    with raises("tracking-unreachable", "http://127.0.0.1:9") as caught:
        register(ports)
    assert "run register again" in str(caught.value)
    printed = capsys.readouterr()
    assert "pl4nted" not in printed.out + printed.err + str(caught.value)
    assert not ports["receipt"].exists()


@pytest.mark.parametrize("name", ["50%20off", "a?b"])
def test_a_store_in_a_folder_of_any_name_keeps_a_model_that_loads(
    name: str, ports: dict[str, Path], store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (tmp_path / "mlflow.db").rename(folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(folder / "mlflow.db"))
    register(ports)
    assert register(ports)["model_uri"] == "models:/tiny/1", "its files are found"
    exported = download_exported("models:/tiny/1", tmp_path / "loaded")
    assert (exported / "model.onnx").read_bytes() == (
        ports["onnx"] / "student" / "model.onnx"
    ).read_bytes()
    assert list((folder / "mlruns").rglob("model.onnx"))
    assert not [path for path in tmp_path.iterdir() if "%" in path.name and path != folder]


def test_a_version_without_a_commit_is_registered_with_the_reason(
    ports: dict[str, Path],
    store: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.delenv("DECANT_COMMIT", raising=False)
    git_repository._commit.cache_clear()
    try:
        register(ports)
    finally:
        git_repository._commit.cache_clear()
    told = " ".join(capsys.readouterr().out.split())
    assert "dubious ownership" in told and "safe.directory" in told


@pytest.mark.parametrize(
    ("port", "file"),
    [
        ("report", "metrics.json"),
        ("onnx", "student/manifest.json"),
    ],
)
def test_a_missing_file_is_named(ports: dict[str, Path], port: str, file: str) -> None:
    (ports[port] / file).unlink()
    with raises("artifact-missing", Path(file).name):
        register(ports)


def test_a_report_without_a_verdict_is_refused(ports: dict[str, Path]) -> None:
    content = known_metrics()
    del content["gate"], content["data"]["test_digest"]
    write_json(ports["report"] / "metrics.json", content)
    with raises("artifact-outdated", "metrics.json lacks", "gate", "data.test_digest"):
        register(ports)


@pytest.mark.parametrize(
    "changes",
    [{"alias": "latest"}, {"alias": "Latest"}, {"alias": "v1"}, {"name": "a/b"}, {"name": ""}],
)
def test_names_that_mlflow_reserves_are_refused(changes: dict[str, str]) -> None:
    with raises("parameter-value", f"register.{next(iter(changes))}"):
        parse(Params, {**SECTION, **changes}, "register")


def test_only_what_the_served_model_imports_is_shipped(tmp_path: Path) -> None:
    package = copy_served_code(tmp_path)
    shipped = {file.relative_to(package).as_posix() for file in package.rglob("*.py")}
    assert shipped == {
        "__init__.py",
        "inference/__init__.py",
        "inference/classifier.py",
        "inference/csv_texts.py",
        "inference/manifest_task.py",
        "inference/model_files.py",
        "inference/wordpiece.py",
        "tasks/__init__.py",
        "tasks/answers.py",
        "tasks/kinds.py",
        "tasks/task.py",
        *(f"tasks/{kind}/{file}.py" for kind in kinds() for file in ("__init__", "answers")),
    }
    names = [line.partition("==")[0] for line in requirements()]
    assert names == ["onnxruntime", "tokenizers", "numpy", "pandas"]


def test_of_two_versions_the_older_counts(ports: dict[str, Path], store: str) -> None:
    receipt = register(ports)
    client = open_client()
    source = client.get_model_version("tiny", "1").source
    client.create_model_version("tiny", source, tags={"decant.identity": receipt["identity"]})
    found = find_version(client, "tiny", receipt["identity"])
    assert found
    assert found.version == "1"
    assert find_version(client, "tiny", "another") is None
    assert find_version(client, "unknown", receipt["identity"]) is None


def test_an_answer_that_was_lost_makes_no_second_version(
    ports: dict[str, Path], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client then asks again, and the server has made the version already."""
    create = MlflowClient.create_model_version

    def asked_thrice(*arguments: Any, **more: Any) -> Any:
        return [create(*arguments, **more) for _ in range(3)][-1]

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", asked_thrice)
        receipt = register(ports)
    assert receipt["version"] == "1"
    assert [str(one.version) for one in open_client().search_model_versions("name = 'tiny'")] == [
        "1"
    ]


@pytest.mark.slow
def test_register_goes_on_wherever_it_was_killed(
    ports: dict[str, Path], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = {**SECTION, "alias": "candidate"}
    call, version_of = 0, {}
    while True:
        call += 1
        name = f"tiny {call}"
        with monkeypatch.context() as patch:
            calls = dying_at(call, patch)
            with suppress(Killed):
                run_step("register", {**section, "name": name}, ports)
            if calls() < call:
                break
        receipt = register(ports, alias="candidate", name=name)
        version_of[call] = (receipt["version"], receipt["registered"])
        (version,) = open_client().search_model_versions(f"name = '{name}'")
        assert version.tags["decant.identity"] == receipt["identity"]
        by_alias = open_client().get_model_version_by_alias(name, "candidate")
        assert str(by_alias.version) == receipt["version"] == "1"
        evidence = open_client().list_artifacts(receipt["run_id"], "evidence")
        assert len(evidence) == 2, "the version's own run has what it is judged by"
    assert len(version_of) > 10
    assert set(version_of.values()) == {("1", True)}


def test_registering_again_adds_the_runs_that_were_not_known(
    ports: dict[str, Path], store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register(ports)
    assert "the lineage lacks the runs of ingest" in capsys.readouterr().out
    client = open_client()
    before = dict(client.get_model_version("tiny", "1").tags)
    assert "decant.run.evaluate" not in before
    experiment = client.get_experiment_by_name("decant").experiment_id
    tags = {"decant.step": "evaluate", "decant.identity": "identity of evaluate"}
    evaluate = client.create_run(experiment, tags=tags).info.run_id
    client.set_terminated(evaluate)
    assert register(ports)["version"] == "1"
    after = client.get_model_version("tiny", "1").tags
    assert after == before | {"decant.run.evaluate": evaluate}


USE = """
import sys
import mlflow, numpy as np, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/tiny/1")
texts = ["a good film", "", "dull plot " * 500, "great", "awful awful"]
frame = pd.DataFrame({"text": texts}, index=[5, 6, 7, 8, 9])
answer = model.predict(frame)
assert list(answer.index) == [5, 6, 7, 8, 9], answer
assert list(answer.columns) == ["label", "score"], answer
labels = list(answer["label"])
assert labels == ["positive", "negative", "negative", "positive", "negative"], labels
# 20 points for one telling word of five tokens ([CLS] a good film [SEP]): softmax of (0, 4)
assert abs(answer["score"][5] - 1 / (1 + np.exp(-4))) < 1e-6
assert answer["score"][6] == 0.5
assert list(model.predict(pd.Series(texts, name="text"))["label"]) == labels
assert list(model.predict([{"text": text} for text in texts])["label"]) == labels
served = model.unwrap_python_model()
assert list(served.predict(None, texts)["label"]) == labels
assert list(served.predict(None, pd.Series(texts))["label"]) == labels
assert list(served.predict(None, "a good film")["label"]) == ["positive"]
big = model.predict(pd.DataFrame({"text": texts * 300}))
assert list(big["label"]) == labels * 300
assert list(big["score"]) == list(answer["score"]) * 300
for predict, wrong, reason in (
    (model.predict, pd.DataFrame({"text": [1]}), "Incompatible input types for column text"),
    (model.predict, pd.DataFrame({"other": ["a"]}), "Model is missing inputs ['text']"),
    (model.predict, pd.DataFrame({"text": ["a", None]}), "row 1 of the input is missing, not"),
    (model.predict, pd.DataFrame({"text": ["a", "x" * 100_001]}), "row 1 of the input is too long"),
    (lambda texts: served.predict(None, texts), ["a", "\\ud83d"], "row 1 of the input is not Unic"),
    (model.predict, {"text": ["a"]}, "row 0 of the input is ['a'], not text"),
    (lambda texts: served.predict(None, texts), [1, 2], "row 0 of the input is 1, not text"),
    (lambda texts: served.predict(None, texts), 5, "the input is int, not texts"),
):
    try:
        predict(wrong)
    except Exception as error:
        assert reason in str(error), error
    else:
        raise AssertionError(f"took {wrong}")
for module in ("torch", "transformers", "kfp", "dvc"):
    assert module not in sys.modules, module
import decant
print("code:", decant.__path__[0])
"""


@pytest.mark.slow
def test_the_model_answers_in_another_process_without_torch(
    ports: dict[str, Path], store: str, tmp_path: Path
) -> None:
    register(ports)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-I", "-c", USE, store], cwd=elsewhere, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "mlruns" in done.stdout.partition("code:")[2], "the shipped code, not the checkout's"
    assert not list((tmp_path / "mlruns").rglob("*.pkl"))
