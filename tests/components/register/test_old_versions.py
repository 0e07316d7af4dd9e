"""A version that an earlier Decant registered still answers, here and with its own code.

golden/version_0_1.zip is such a version, as MLflow keeps it: its script and its copy of the library
are of the commit before there were kinds of targets, and its manifest has format 1. Its model is
that of `tiny_exported`.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from decant import TextClassifier
from tests.components.register.test_register_servers import TEXTS, _post
from tests.mlflow_server import serving


@pytest.fixture
def old_version(tmp_path: Path) -> Path:
    folder = tmp_path / "version"
    with zipfile.ZipFile(Path(__file__).parent / "golden" / "version_0_1.zip") as archive:
        archive.extractall(folder)
    assert "Labels" not in (folder / "code" / "decant" / "__init__.py").read_text("utf-8")
    return folder


def test_it_answers_where_this_decant_is_loaded_already(
    old_version: Path, tiny_exported: Path
) -> None:
    expected = TextClassifier.load(tiny_exported).predict(TEXTS)
    found = mlflow.pyfunc.load_model(str(old_version)).predict(pd.DataFrame({"text": TEXTS}))
    assert found["label"].tolist() == [answer.label for answer in expected]
    assert found["score"].tolist() == [answer.score for answer in expected]


def test_it_is_loaded_from_the_registry(
    old_version: Path,
    tiny_exported: Path,
    empty_mlflow: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(store)
    client.create_registered_model("tiny")
    client.create_model_version("tiny", old_version.as_uri())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    classifier = TextClassifier.load("models:/tiny/1")
    assert classifier.labels == ("negative", "positive")
    assert classifier.predict(TEXTS) == TextClassifier.load(tiny_exported).predict(TEXTS)


USE = """
import sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict(pd.DataFrame({"text": ["a good film", "a dull film"]}))["label"].tolist())
import decant
print(decant.__path__[0])
"""


@pytest.mark.slow
def test_it_answers_with_its_own_code(
    old_version: Path, tiny_exported: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", USE, str(old_version)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['positive', 'negative']",
        str(old_version / "code" / "decant"),
    ]
    expected = TextClassifier.load(tiny_exported).predict(TEXTS)
    command = ["models", "serve", "-m", str(old_version), "--env-manager", "local"]
    with serving(command, tmp_path / "serve.log", tmp_path) as url:
        found = _post(url, {"inputs": {"text": TEXTS}})["predictions"]
    assert [answer["label"] for answer in found] == [answer.label for answer in expected]
    assert [answer["score"] for answer in found] == [answer.score for answer in expected]
