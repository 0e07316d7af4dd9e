"""The whole DAG for each kind of target and for several, from a file to a registered version."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decant import TextClassifier
from decant.runner.run_step import run_step
from decant.runtime.artifacts import read_json
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from tests.spooling import Store
from tests.tiny import NEGATIVE, NEUTRAL, POSITIVE

STEPS = (
    "ingest",
    "tokenize",
    "finetune",
    "transfer_weights",
    "distill",
    "export_onnx",
    "evaluate",
    "register",
)
# What a label says stands in the words, so that a tiny model can learn it.
TOPICS = {"plot": "plot", "actor": "actor", "scene": "scene"}

KINDS: dict[str, dict[str, Any]] = {
    "multi_label": {"task": "multi_label", "label_column": "topics"},
    "regression": {
        "task": "regression",
        "label_column": "stars",
        "kinds": {"regression": {"minimum": 1.0, "maximum": 5.0, "ordinal": True}},
    },
    "several": {
        "targets": [
            {"name": "mood", "kind": "single_label"},
            {"name": "topics", "kind": "multi_label"},
            {"name": "stars", "kind": "regression", "minimum": 1.0, "maximum": 5.0, "weight": 0.5},
        ]
    },
}


def rows(count: int) -> list[dict[str, Any]]:
    """Texts with a mood, topics and stars; about a fifth of the cells is unknown."""
    draw = random.Random(7)
    found: dict[str, dict[str, Any]] = {}
    while len(found) < count:
        good = draw.randint(0, 4)
        words = draw.choices(POSITIVE, k=good) + draw.choices(NEGATIVE, k=4 - good)
        words += draw.choices(NEUTRAL, k=4)
        draw.shuffle(words)
        labels = {
            "mood": "good" if good > 2 else "bad",
            "topics": [topic for topic, word in TOPICS.items() if word in words],
            "stars": 1.0 + good,
        }
        unknown = {name: None for name in labels if draw.random() < 0.2}
        found[" ".join(words)] = {**labels, **unknown}
    return [{"text": text, **labels} for text, labels in found.items()]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("kinds") / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(500)))
    return file


@pytest.fixture(scope="module")
def flow(
    tmp_path_factory: pytest.TempPathFactory, corpus: Path, tiny_params: dict[str, Any]
) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def run(kind: str) -> Path:
        if kind in made:
            return made[kind]
        params = json.loads(json.dumps(tiny_params))
        kinds = params["ingest"]["kinds"]
        own = KINDS[kind].get("kinds", {})
        params["ingest"] |= {
            "source": str(corpus),
            "local_corpus": str(corpus.parent),
            "group_by": None,
            "label_budget": 200,
            **KINDS[kind],
            "kinds": {name: {**options, **own.get(name, {})} for name, options in kinds.items()},
        }
        params["distill"]["training"]["epochs"] = 6
        params["register"]["name"] = f"tiny-{kind}"
        root = tmp_path_factory.mktemp(kind)
        for name in STEPS:
            step = load_step(name)
            ports = {port: root / port for port in (*step.input_ports, *step.output_ports)}
            run_step(name, section_of(params, name, step.params), ports)
        made[kind] = root
        return root

    return run


pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path_factory.getbasetemp() / "kinds-cache"))


@pytest.mark.parametrize("kind", list(KINDS))
def test_from_a_file_to_a_registered_version(
    kind: str, flow: Callable[[str], Path], mlflow_store: Store
) -> None:
    root = flow(kind)
    figures = read_json(root / "report" / "metrics.json")
    assert figures["data"]["task"] == kind
    assert figures["teacher"]["score"] > 0.75
    low, high = figures["student"]["score_interval"]
    assert low <= figures["student"]["score"] <= high
    receipt = read_json(root / "receipt" / "receipt.json")
    assert receipt["registered"], receipt["reasons"]


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_exported_student_answers_with_one_call(kind: str, flow: Callable[[str], Path]) -> None:
    classifier = TextClassifier.load(flow(kind) / "onnx" / "student")
    (answer,) = classifier.predict(["the plot is great and lovely and superb"])
    of = answer if kind == "several" else {"topics": answer, "stars": answer}
    if kind != "regression":
        assert set(of["topics"].scores) == set(TOPICS)
        assert set(of["topics"].labels) <= set(TOPICS)
    if kind != "multi_label":
        assert 1 <= of["stars"].value <= 5
    if kind == "several":
        assert of["mood"].label in ("bad", "good")


def test_what_learning_together_gives_is_reported_by_target(flow: Callable[[str], Path]) -> None:
    root = flow("several")
    figures = read_json(root / "report" / "metrics.json")
    alone = figures["controls"]["alone"]
    assert set(alone) == {"mood", "topics", "stars"}
    for name, control in alone.items():
        student = figures["student"]["targets"][name]
        difference = student["score"] - control["score"]
        assert control["difference"] == pytest.approx(difference)
        low, high = control["difference_interval"]
        assert low <= high


def test_thresholds_are_those_of_validation_and_each_models_own(
    flow: Callable[[str], Path],
) -> None:
    root = flow("multi_label")
    chosen = {}
    for role in ("teacher", "student", "undistilled"):
        (target,) = read_json(root / "onnx" / role / "manifest.json")["targets"]
        chosen[role] = target["facts"]["decision"]["thresholds"]
        assert len(chosen[role]) == len(TOPICS)
    assert chosen["teacher"] != chosen["student"]


def test_unlabelled_rows_are_those_without_any_known_cell(flow: Callable[[str], Path]) -> None:
    corpus = flow("several") / "corpus"
    train = pd.read_parquet(corpus / "train.parquet")
    columns = [f"label.{name}" for name in ("mood", "topics", "stars")]
    assert train[columns].notna().any(axis=1).all()
    assert train[columns].isna().to_numpy().any()
    assert np.isfinite(train["label.stars"].dropna()).all()
