"""Small, offline stand-ins for what the pipeline reads: a random BERT and a learnable corpus."""

import os
import shutil
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests.tiny import NEGATIVE, POSITIVE, tiny_parameters, write_corpus, write_encoder

if TYPE_CHECKING:
    from tests.spooling import Store

# Properties are tried with the same few examples everywhere; no time limit, since machines differ.
hypothesis.settings.register_profile("decant", max_examples=40, deadline=None, derandomize=True)
hypothesis.settings.load_profile("decant")
os.environ.setdefault("DECANT_TRACKING", "off")  # tests of the tracking switch it on themselves
os.environ.setdefault("DECANT_RETRY_SECONDS", "0")  # tests of the retries set it themselves
os.environ["TOKENIZERS_PARALLELISM"] = "true"
# Every core has a pytest process of its own; more threads each would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts a job in the background with SIGINT ignored, and so would be what tests interrupt.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV of `write_corpus`."""
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The BERT folder of `write_encoder`."""
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def tiny_exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder whose logits are (share of NEGATIVE words, share of POSITIVE words) * 20.

    Both are shares of all tokens, [CLS] and [SEP] included. Texts are cut after 32 tokens.
    """
    import json

    from tests.word_models import write_manifest, write_word_model

    weights = [dict.fromkeys(words, 20.0) for words in (NEGATIVE, POSITIVE)]
    folder = write_word_model(tmp_path_factory.mktemp("exported"), weights)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    write_manifest(folder, manifest | {"labels": ["negative", "positive"]})
    return folder


@pytest.fixture(scope="session")
def tiny_neighbourly(tmp_path_factory: pytest.TempPathFactory, tiny_exported: Path) -> Path:
    """tiny_exported, but padding counts as tokens: a score depends on the longest of its batch."""
    import shutil

    import numpy as np
    import onnx

    folder = tmp_path_factory.mktemp("neighbourly") / "exported"
    shutil.copytree(tiny_exported, folder)
    graph = onnx.load(folder / "model.onnx")
    pad = next(weight for weight in graph.graph.initializer if weight.name == "pad")
    pad.CopyFrom(onnx.numpy_helper.from_array(np.array(-1, dtype=np.int64), "pad"))
    onnx.save_model(graph, folder / "model.onnx")
    return folder


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs, to be copied: making one takes a second."""
    from mlflow.tracking import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def mlflow_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_mlflow: Path) -> "Store":
    """The tracking store of a test, which can go away; its spool is a folder beside it."""
    from tests.spooling import Store

    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    store = Store(tmp_path)
    for name in ("MLFLOW_RUN_ID", "KFP_RUN_ID", "DVC_EXP_NAME", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("DECANT_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    return store


@pytest.fixture(scope="session")
def tiny_params(tiny_csv: Path, tiny_encoder: Path) -> dict[str, Any]:
    """params.yaml, made small: the whole pipeline on the tiny corpus in seconds."""
    return tiny_parameters(tiny_csv, tiny_encoder)
