"""The public API: one call loads an exported or a registered model, texts in, labels out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

import decant
from components.register.registry import save_model
from decant import Prediction, TextClassifier
from decant.inference.classifier import MAX_CHARACTERS
from tests.errors import raises

# 20 points on one telling word of five tokens: 1 / (1 + exp(-4))
SCORE = 1 / (1 + np.exp(-4.0))


def test_an_exported_folder(tiny_exported: Path) -> None:
    classifier = TextClassifier.load(tiny_exported)
    assert classifier.labels == ("negative", "positive")
    answers = classifier.predict(["a good film", "a dull film"])
    assert [answer.label for answer in answers] == ["positive", "negative"]
    assert [answer.score for answer in answers] == pytest.approx([SCORE, SCORE], abs=1e-6)
    assert all(isinstance(answer, Prediction) for answer in answers)
    assert classifier.predict([]) == []


@pytest.fixture
def registered(
    tiny_exported: Path, empty_mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    save_model(tiny_exported, tmp_path / "model")
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(store)
    client.create_registered_model("tiny")
    client.create_model_version("tiny", (tmp_path / "model").as_uri())
    client.set_registered_model_alias("tiny", "champion", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return "models:/tiny@champion"


def test_a_registered_model_answers_as_the_exported_one(
    registered: str, tiny_exported: Path
) -> None:
    texts = ["a good film", "", "a dull story of a sad, sad actor"]
    expected = TextClassifier.load(tiny_exported).predict(texts)
    classifier = TextClassifier.load(registered)
    assert classifier.predict(texts) == expected
    for other in ("models:/tiny/1", "tiny/1", "tiny@champion"):
        assert TextClassifier.load(other).predict(texts) == expected
    download = classifier.folder
    assert (download / "manifest.json").is_file()
    del classifier
    assert not download.exists(), "the download goes with the classifier"


def test_a_folder_goes_before_a_model_of_its_name(
    registered: str, tiny_exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_exported, tmp_path / "tiny" / "1")
    assert TextClassifier.load("tiny/1").folder == Path("tiny/1")
    with raises("artifact-missing", "tiny/2"):
        TextClassifier.load(Path("tiny/2"))


def test_an_unknown_version_is_a_user_error(registered: str) -> None:
    with raises("model-version-unknown", "models:/tiny/9"):
        TextClassifier.load("models:/tiny/9")


def test_what_is_not_texts_is_refused(tiny_exported: Path) -> None:
    classifier = TextClassifier.load(tiny_exported)
    with pytest.raises(TypeError, match=r"write \[text\]"):
        classifier.predict("a good film")
    with pytest.raises(ValueError, match=r"texts\[1\] is missing, not text"):
        classifier.predict(["a good film", None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"texts\[0\] is too long"):
        classifier.predict(["x" * (MAX_CHARACTERS + 1)])


def test_the_public_names_are_there_and_others_are_not() -> None:
    assert set(decant.__all__) <= set(dir(decant))
    for name in decant.__all__:
        assert getattr(decant, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Classifier'"):
        _ = decant.Classifier


def test_importing_decant_imports_no_library() -> None:
    heavy = ("numpy", "onnxruntime", "tokenizers", "rich", "click", "torch", "mlflow", "pandas")
    code = f"import sys, decant\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("given", [None, "0"])
def test_onnx_runtime_reports_nothing_unless_it_is_asked_to(
    tmp_path: Path, tiny_exported: Path, given: str | None
) -> None:
    """Where its telemetry is on, it begins with a file in the folder for temporary files."""
    program = (
        "import os, sys\n"
        "from decant import TextClassifier\n"
        "TextClassifier.load(sys.argv[1])\n"
        'print(os.environ["ORT_DISABLE_TELEMETRY"])'
    )
    # Nothing else: it is also off where a variable tells of continuous integration.
    variables = {"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    variables |= {} if given is None else {"ORT_DISABLE_TELEMETRY": given}
    words = [sys.executable, "-c", program, str(tiny_exported)]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (given or "1")
    if given is None:
        assert not list(tmp_path.glob(".ses*"))
