"""Three exported models that know more or fewer telling words, and a corpus to run them on."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pandas as pd
import pytest
from onnx import numpy_helper
from tokenizers import Tokenizer

from decant.data.corpus import Schema, write_schema
from decant.runtime.artifacts import Card, write_json
from decant.tasks.task import Task

LABELS = ("negative", "positive")
# The telling words that each model has not learned.
UNKNOWN = {
    "teacher": ("clever",),
    "student": ("clever", "stale", "fine", "sad"),
    "undistilled": ("good", "great", "fine", "lovely", "superb", "moving", "bad", "awful", "dull"),
}
# Other forms of teacher and student, which export_onnx may leave away.
UNKNOWN_IN_OTHER_FORMS = {
    "teacher_int8": ("clever", "funny"),
    "student_float32": ("clever", "stale", "sad"),
}
QUANTISATION = {
    "rows": 50,
    "max_accuracy_loss": 0.01,
    "min_label_agreement": 0.9,
    "float32": {"size_bytes": 4000, "accuracy": 0.9, "label_agreement": 1.0},
    "tried": [
        {
            "form": "int8_embeddings",
            "accepted": True,
            "reason": "the smallest accepted",
            "size_bytes": 1000,
            "accuracy": 0.89,
            "label_agreement": 0.95,
        },
        {"form": "static_int8", "accepted": False, "reason": "the graph has no such layer"},
    ],
    "won": "int8_embeddings",
}


@pytest.fixture
def unknown_words() -> dict[str, tuple[str, ...]]:
    return UNKNOWN


@pytest.fixture
def unknown_in_every_form() -> dict[str, tuple[str, ...]]:
    return UNKNOWN | UNKNOWN_IN_OTHER_FORMS


@pytest.fixture(scope="session")
def evaluate_onnx(tmp_path_factory: pytest.TempPathFactory, tiny_exported: Path) -> Path:
    """An onnx artifact: for each role the tiny word-weight model with some words zeroed."""
    folder = tmp_path_factory.mktemp("evaluate") / "onnx"
    write_models(folder, tiny_exported, UNKNOWN)
    return folder


@pytest.fixture(scope="session")
def quantised_onnx(tmp_path_factory: pytest.TempPathFactory, tiny_exported: Path) -> Path:
    """The same with an int8 teacher and the float32 student."""
    folder = tmp_path_factory.mktemp("quantised") / "onnx"
    write_models(folder, tiny_exported, UNKNOWN | UNKNOWN_IN_OTHER_FORMS)
    for role, more in {
        "teacher": {"form": "float32", "quantisation": QUANTISATION},
        "teacher_int8": {"form": "dynamic_int8", "size_bytes": 400},
        "student": {"form": "int8_embeddings", "quantisation": QUANTISATION},
        "student_float32": {"form": "float32", "size_bytes": 5678},
        "undistilled": {"form": "int8_embeddings"},
    }.items():
        manifest = json.loads((folder / role / "manifest.json").read_text("utf-8"))
        write_json(folder / role / "manifest.json", manifest | more)
    return folder


def write_models(folder: Path, tiny_exported: Path, unknown: dict[str, tuple[str, ...]]) -> None:
    for role, words in unknown.items():
        shutil.copytree(tiny_exported, folder / role)
        tokenizer = Tokenizer.from_file(str(folder / role / "tokenizer.json"))
        model = onnx.load(folder / role / "model.onnx")
        (weights,) = (item for item in model.graph.initializer if item.name == "table")
        table = numpy_helper.to_array(weights).copy()
        table[[tokenizer.token_to_id(word) for word in words]] = 0
        weights.CopyFrom(numpy_helper.from_array(table, "table"))
        onnx.save(model, folder / role / "model.onnx")
        manifest = json.loads((folder / role / "manifest.json").read_text("utf-8"))
        write_json(folder / role / "manifest.json", manifest | {"role": role})
    write_card(folder, "export_onnx")


@pytest.fixture(scope="session")
def make_corpus(tiny_csv: Path) -> Callable[..., Path]:
    """Writes a corpus artifact; `test` changes its test split before it is written."""

    def make(folder: Path, test: Callable[[pd.DataFrame], pd.DataFrame] | None = None) -> Path:
        rows = pd.read_csv(tiny_csv).rename(columns={"film": "group"})
        rows.insert(0, "row_id", [f"row-{index}" for index in range(len(rows))])
        splits = {
            "train": rows[:150],
            "validation": rows[150:200],
            "test": test(rows[200:300]) if test else rows[200:300],
            "unlabelled": rows[300:].drop(columns="label"),
        }
        folder.mkdir(parents=True)
        for split, part in splits.items():
            part.to_parquet(folder / f"{split}.parquet", index=False)
        write_schema(folder, Schema(task=Task.of_classes(LABELS), text_column="text"))
        write_card(folder, "ingest")
        return folder

    return make


@pytest.fixture
def evaluate_section(tiny_params: dict[str, Any]) -> dict[str, Any]:
    """The step's parameters: quick, without BERT-base, every threshold off."""
    return {**tiny_params["evaluate"], "seed": 13}


def write_card(folder: Path, step: str) -> None:
    card = Card(
        step=step,
        port=folder.name,
        identity="0",
        varying=folder.name == "report",
        params={},
        inputs={},
        metrics={},
        versions={},
    )
    write_json(folder / "card.json", dataclasses.asdict(card))
