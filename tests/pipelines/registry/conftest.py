"""Registered versions of a model whose answers are known: it counts words, and some forget some."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from components.evaluate.tables import write_predictions
from decant.inference.classifier import OnnxClassifier
from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json, write_json
from decant.runtime.errors import UserError
from decant.runtime.identity import text_digest
from decant.tasks.single_label.answers import softmax
from decant.tasks.task import Task
from pipelines.__main__ import main
from tests.components.register.conftest import write_card
from tests.example_figures import metrics
from tests.tiny import NEGATIVE, POSITIVE, tiny_tokenizer
from tests.word_models import seal

# A row per telling word, ten times: every model that knows all words has them all right.
TEXTS = [f"the {word} film {'it ' * copy}" for copy in range(5) for word in (*POSITIVE, *NEGATIVE)]
LABELS = ["positive" if row % 16 < 8 else "negative" for row in range(len(TEXTS))]

Register = Callable[..., str]


@dataclass(frozen=True)
class Ended:
    exit_code: int
    output: str


Cli = Callable[..., Ended]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_mlflow: Path) -> str:
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("DECANT_USER", "ada")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return uri


@pytest.fixture
def register(tmp_path: Path, tiny_exported: Path, store: str) -> Register:
    """register(forgets=(word, ...), texts=, labels=) → the version's number."""
    count = 0

    def made(
        forgets: Sequence[str] = (),
        texts: Sequence[str] = TEXTS,
        labels: Sequence[str] = LABELS,
        teacher_wrong: int = 0,
    ) -> str:
        nonlocal count
        count += 1
        root = tmp_path / f"made {count}"
        student = root / "onnx" / "student"
        shutil.copytree(tiny_exported, student)
        forget(student, forgets, mark=count)
        seal(student)
        return _register(root, student, list(texts), list(labels), teacher_wrong)

    return made


def forget(student: Path, words: Sequence[str], *, mark: int) -> None:
    """Without weights for the words; the mark makes two models that know the same differ."""
    graph = onnx.load(student / "model.onnx")
    table = next(one for one in graph.graph.initializer if one.name == "table")
    weights = np.array(numpy_helper.to_array(table))
    weights[[tiny_tokenizer().token_to_id(word) for word in words]] = 0
    table.CopyFrom(numpy_helper.from_array(weights, "table"))
    graph.doc_string = f"made {mark}"
    onnx.save(graph, student / "model.onnx")


def _register(
    root: Path, student: Path, texts: list[str], labels: list[str], teacher_wrong: int
) -> str:
    evaluation, report = root / "evaluation", root / "report"
    evaluation.mkdir()
    report.mkdir()
    for folder, step in (
        (root / "onnx", "export_onnx"),
        (evaluation, "evaluate"),
        (report, "evaluate"),
    ):
        write_card(folder, step, {})
    test = pd.DataFrame({"row_id": range(len(texts)), "text": texts, "label": labels})
    classes = ("negative", "positive")
    probabilities = softmax(OnnxClassifier(student).logits(texts)).astype(np.float32)
    teacher = np.array([[float(label == one) for one in classes] for label in labels], np.float32)
    teacher[:teacher_wrong] = 1 - teacher[:teacher_wrong]
    task = Task.of_classes(classes)
    values = {"student": {"label": probabilities}, "teacher": {"label": teacher}}
    write_predictions(evaluation, test, dict.fromkeys(values, task), values)
    right = float((probabilities.argmax(1) == teacher.argmax(1)).mean())
    content = metrics()
    content["student"] |= {"accuracy": right, "retention": right, "ece": 0.0}
    content["teacher"]["accuracy"] = 1.0
    content["data"]["test_digest"] = text_digest(json.dumps([texts, labels]))
    content["data"]["rows"]["test"] = len(texts)
    content["latency_p50_us"]["student"] = {"model": 60.0, "end_to_end": 100.0}
    content["speedup"]["end_to_end"]["vs_teacher"] = 50.0
    write_json(evaluation / "quality.json", {"student": {"accuracy": right}})
    write_json(report / "metrics.json", content)
    ports = {
        "onnx": root / "onnx",
        "evaluation": evaluation,
        "report": report,
        "receipt": root / "receipt",
    }
    section = {
        "enabled": True,
        "in_experiments": False,
        "strict": False,
        "name": "tiny",
        "alias": None,
    }
    run_step("register", section, ports)
    return str(read_json(ports["receipt"] / "receipt.json")["version"])


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """cli("promote", ...) → its end and its output, with a UserError as the program shows it."""
    # Times of graphs of microseconds are noise: here they decide nothing.
    quick = ("--set", "promotion.latency_texts=10", "--set", "promotion.max_time_ratio=null")

    def run(command: str, *arguments: str) -> Ended:
        more = quick if command == "promote" else ()
        result = CliRunner().invoke(main, [command, *arguments, *more])
        if isinstance(error := result.exception, UserError):
            return Ended(2, f"{result.output}error[{error.code}]: {error}")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.output)

    return run
