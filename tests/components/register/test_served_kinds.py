"""The served model of every kind of target: its signature, and its answers from MLflow itself."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models import Model, ModelSignature
from mlflow.models.utils import _enforce_schema  # no public function checks an output

from components.register.registry import save_model
from decant.inference.classifier import OnnxClassifier
from decant.runner.run_step import run_step
from decant.tasks.answers import cells
from decant.tracking.mlflow_store import open_client
from tests.components.register.conftest import SECTION
from tests.components.register.test_register_servers import _post
from tests.mlflow_server import serving
from tests.word_models import TASKS, write_word_model

TEXTS = ["a good film", "", "dull plot " * 100, "great", "a dull story of a sad, sad actor"]
COLUMNS = {
    "single_label": {"label": "string", "score": "double"},
    "multi_label": {"labels": "Array(string)", "scores": "Map(str -> double)"},
    "regression": {"value": "double"},
    "several": {
        "tone_label": "string",
        "tone_score": "double",
        "emotions_labels": "Array(string)",
        "emotions_scores": "Map(str -> double)",
        "stars_value": "double",
    },
}


@pytest.fixture(params=TASKS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def exported(kind: str, tmp_path: Path) -> Path:
    targets, weights = TASKS[kind]
    return write_word_model(tmp_path / "exported", weights, targets)


def expected(exported: Path, texts: list[str]) -> list[dict[str, Any]]:
    classifier = OnnxClassifier(exported)
    return [cells(classifier.task, answer) for answer in classifier.predict(texts)]


def test_the_signature_names_the_cells_and_the_output_is_of_it(
    kind: str, exported: Path, tmp_path: Path
) -> None:
    save_model(exported, tmp_path / "model")
    signature = Model.load(tmp_path / "model").signature
    assert isinstance(signature, ModelSignature)
    announced = {spec.name: str(spec.type).replace("DataType.", "") for spec in signature.outputs}
    assert announced == COLUMNS[kind]
    model = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    for texts in (TEXTS, []):
        frame = model.predict(pd.DataFrame({"text": pd.Series(texts, dtype=object)}))
        assert _enforce_schema(frame, signature.outputs).to_dict("records") == expected(
            exported, texts
        )
        assert list(frame.columns) == list(COLUMNS[kind])


def test_a_version_of_every_kind_is_registered_with_its_example(
    kind: str, exported: Path, ports: dict[str, Path], store: str, tmp_path: Path
) -> None:
    """MLflow runs the example through the model when it is logged, and warns where it fails."""
    shutil.rmtree(ports["onnx"] / "student")
    shutil.copytree(exported, ports["onnx"] / "student")
    run_step("register", SECTION, ports)
    source = open_client().get_model_version("tiny", "1").source
    folder = mlflow.artifacts.download_artifacts(source, dst_path=str(tmp_path / "version"))
    model = Model.load(folder)
    assert {spec.name for spec in model.signature.outputs} == set(COLUMNS[kind])
    assert model.load_input_example(folder)["text"].tolist()


@pytest.mark.slow
def test_mlflow_serves_and_predicts_what_the_exported_model_answers(
    exported: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    save_model(exported, folder)
    answers = expected(exported, TEXTS)
    command = ["models", "serve", "-m", str(folder), "--env-manager", "local"]
    with serving(command, tmp_path / "serve.log", tmp_path) as url:
        for body in (
            {"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}},
            {"inputs": {"text": TEXTS}},
        ):
            assert _post(url, body) == {"predictions": answers}

    table = tmp_path / "texts.csv"
    pd.DataFrame({"text": ["a good film", "great"]}).to_csv(table, index=False)
    command = ["models", "predict", "-m", str(folder), "--env-manager", "local"]
    command += ["-i", str(table), "-t", "csv", "-o", str(tmp_path / "out.json")]
    subprocess.run([sys.executable, "-m", "mlflow", *command], check=True, capture_output=True)
    found = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert found == {"predictions": expected(exported, ["a good film", "great"])}
