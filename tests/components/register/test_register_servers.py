"""register against a real MLflow server, and the registered model behind a real scoring server."""

import dataclasses
import json
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest

from components.register.contract import Params
from decant.inference.classifier import OnnxClassifier
from decant.runner.run_step import run_step
from decant.runtime.artifacts import Card, read_json, write_json
from decant.runtime.identity import PROJECT
from decant.runtime.reporter import Reporter
from decant.tracking.mlflow_store import open_client
from decant.tracking.tracked_step import tracked_step
from tests.example_figures import metrics
from tests.mlflow_server import serving
from tests.planted import PASSWORD, is_leak, leaks

SECTION = {
    "enabled": True,
    "in_experiments": False,
    "strict": False,
    "name": "tiny",
    "alias": "candidate",
}
TEXTS = ["a good film", "", "dull plot " * 100, "great", "a dull story of a sad, sad actor"]


def _post(url: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def ports(tmp_path: Path, tiny_exported: Path) -> dict[str, Path]:
    onnx, evaluation, report = (tmp_path / port for port in ("onnx", "evaluation", "report"))
    shutil.copytree(tiny_exported, onnx / "student")
    for folder, step in ((onnx, "export_onnx"), (evaluation, "evaluate"), (report, "evaluate")):
        folder.mkdir(exist_ok=True)
        card = Card(
            step=step,
            port=folder.name,
            identity=step,
            varying=folder == report,
            params={},
            inputs={},
            metrics={},
            versions={},
        )
        write_json(folder / "card.json", dataclasses.asdict(card))
    write_json(report / "metrics.json", metrics())
    pd.DataFrame({"text": ["a good film"]}).to_parquet(evaluation / "predictions.parquet")
    return {"onnx": onnx, "evaluation": evaluation, "report": report, "receipt": tmp_path / "out"}


@pytest.mark.slow
def test_a_server_keeps_runs_artifacts_and_the_model(
    ports: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("KFP_RUN_ID", "one-execution")
    files = tmp_path / "server's files"
    command = ["server", "--workers", "1", "--artifacts-destination", str(files)]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}"]
    with serving(command, tmp_path / "server.log", tmp_path) as url:
        monkeypatch.setenv(
            "MLFLOW_TRACKING_URI", url.replace("://", f"://user:{quote(PASSWORD, safe='')}@")
        )
        reporter = Reporter(step="distill")
        with tracked_step("distill", "key", Params(**SECTION), [], reporter) as run:
            reporter.point("validation_accuracy", 1, 0.7)
            curve = open_client().get_metric_history(run.run_id, "validation_accuracy")
            assert [point.value for point in curve] == [0.7]
            run.finish(reporter, 1.0, {"evaluation": ports["evaluation"]})
        run_step("register", SECTION, ports)
        receipt = read_json(ports["receipt"] / "receipt.json")
        assert receipt["model_uri"] == "models:/tiny/1"
        run_step("register", SECTION, ports)
        assert read_json(ports["receipt"] / "receipt.json") == receipt, "dvc.lock stays as it is"

        client = open_client()
        distill, register = (client.get_run(id) for id in (run.run_id, receipt["run_id"]))
        parents = {child.data.tags["mlflow.parentRunId"] for child in (distill, register)}
        assert len(parents) == 1
        assert client.get_run(parents.pop()).info.status == "FINISHED"
        assert [file.path for file in client.list_artifacts(run.run_id, "evaluation")]
        assert str(client.get_model_version_by_alias("tiny", "candidate").version) == "1"
        assert list(files.rglob("model.onnx")), "the artifacts went through the server"

        predict = [sys.executable, "-m", "pipelines", "predict", "--model"]
        done = subprocess.run(
            [*predict, "models:/tiny@candidate", "a good film"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        assert done.stdout.startswith("positive\t0.98"), done.stderr
        missing = subprocess.run(
            [*predict, "models:/tiny/9", "a"], cwd=PROJECT, capture_output=True, text=True
        )
        assert missing.returncode == 2
        assert "models:/tiny/9" in missing.stderr
        assert "Traceback" not in missing.stderr
        assert not is_leak(missing.stderr + done.stderr)
    assert not leaks(tmp_path)


@pytest.mark.slow
def test_the_served_model_answers_as_the_exported_one(
    ports: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    empty_mlflow: Path,
    tiny_exported: Path,
) -> None:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    run_step("register", SECTION, ports)
    expected = OnnxClassifier(tiny_exported).predict(TEXTS)
    command = ["models", "serve", "-m", "models:/tiny/1", "--env-manager", "local"]
    with serving(command, tmp_path / "serve.log", tmp_path) as url:
        for body in (
            {"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}},
            {"dataframe_records": [{"text": text} for text in TEXTS]},
            {"inputs": TEXTS},
            {"inputs": {"text": TEXTS}},
        ):
            answers = _post(url, body)["predictions"]
            assert [answer["label"] for answer in answers] == [e.label for e in expected]
            assert [answer["score"] for answer in answers] == [e.score for e in expected]
        for column, value, message in (
            ("other", "a", "Model is missing inputs ['text']"),
            ("text", 5, "not text"),
            ("text", None, "not text"),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                _post(url, {"dataframe_split": {"columns": [column], "data": [[value]]}})
            assert refused.value.code == 400
            assert message in json.load(refused.value)["message"]
