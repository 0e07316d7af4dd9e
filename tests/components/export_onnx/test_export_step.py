"""The whole step on a tiny teacher and students, with their tokenizers and smaller forms."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer

from decant.data.corpus import Schema, write_schema
from decant.data.tokens import to_batch
from decant.inference.classifier import OnnxClassifier
from decant.models.encoder import copy_encoder, load_encoder
from decant.models.teacher import Teacher, TeacherConfig, save_teacher
from decant.runner.run_step import run_step
from decant.runtime.artifacts import Card, read_card, read_json, write_json
from decant.runtime.identity import content_digest
from decant.students._student import Student, StudentConfig, load_student, save_student
from decant.tasks.task import Task
from tests.exported_graphs import ExportedGraphs

LENGTH = 12
LABELS = ("negative", "positive")
CNN = {"filters": 8, "kernel_widths": [1, 2], "layers": 1, "dropout": 0.0}
TEXTS = ["a good film", "the plot is dull and sad", "a superb , moving story ! " * 5, "it s"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """Ports tokens, teacher, student and undistilled; the students have ids of their own."""
    root = tmp_path_factory.mktemp("inputs")
    for port in ("tokens", "teacher", "student", "undistilled"):
        (root / port).mkdir()
        write_card(root / port, port)
    tokenizer = Tokenizer.from_file(str(tiny_encoder / "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.save(str(root / "tokens" / "tokenizer.json"))
    write_tokens(root / "tokens", tokenizer.get_vocab_size())

    copy_encoder(tiny_encoder, root / "teacher")
    (root / "teacher" / "model.safetensors").unlink()
    torch.manual_seed(1)
    teacher = Teacher(
        load_encoder(tiny_encoder),
        TeacherConfig(
            head="linear",
            head_options={"pooling": "mean", "dropout": 0.0},
            labels=LABELS,
            pad_id=0,
            max_length_tokens=LENGTH,
        ),
    )
    torch.nn.init.normal_(teacher.output.weight)
    save_teacher(teacher, root / "teacher")

    own = own_tokenizer(root / "tokens" / "tokenizer.json")
    size = Tokenizer.from_str(own).get_vocab_size()
    for seed, port in enumerate(("student", "undistilled")):
        torch.manual_seed(seed)
        student = Student(
            StudentConfig(
                architecture="cnn",
                options=CNN,
                width=64,
                embedding_dropout=0.0,
                frozen=(),
                vocabulary_size=size,
                kept_ids=size,
                labels=LABELS,
                pad_id=1,
                max_length_tokens=LENGTH,
            )
        )
        torch.nn.init.normal_(student.output.weight)
        save_student(student, root / port, tokenizer=own)
    return root


def own_tokenizer(file: Path) -> str:
    """The same pieces with other ids: [UNK] is 0 and [PAD] 1 here."""
    content = read_json(file)
    swapped = {0: 1, 1: 0}
    vocabulary = content["model"]["vocab"]
    for piece, index in vocabulary.items():
        vocabulary[piece] = swapped.get(index, index)
    for token in content["added_tokens"]:
        token["id"] = swapped.get(token["id"], token["id"])
    return json.dumps(content)


def write_tokens(folder: Path, vocabulary: int) -> None:
    write_schema(folder, Schema(task=Task.of_classes(LABELS), text_column="text"))
    draw = np.random.default_rng(0)
    for split, count in (("train", 40), ("validation", 60)):
        rows = [
            np.concatenate([[2], draw.integers(5, vocabulary, size=length), [3]]).astype(np.int32)
            for length in draw.integers(1, LENGTH - 1, size=count)
        ]
        batch = to_batch(rows, draw.integers(0, 2, size=count))
        with pa.ipc.new_file(str(folder / f"{split}.arrow"), batch.schema) as writer:
            writer.write_batch(batch)


def write_card(folder: Path, port: str) -> None:
    card = Card(
        step="distill",
        port=port,
        identity="identity of distill",
        varying=False,
        params={},
        inputs={},
        metrics={},
        versions={},
    )
    write_json(folder / "card.json", dataclasses.asdict(card))


ANY = {"max_accuracy_loss": 1.0, "min_label_agreement": 0.0}
FORMS = ["float16_embeddings", "int8_embeddings", "dynamic_int8", "static_int8", "folded_int8"]
ALL = {"forms": FORMS, **ANY}
TEACHER = {"forms": ["static_int8", "dynamic_int8"], **ANY}
Export = Callable[[Path, dict[str, Any], dict[str, Any]], Path]


@pytest.fixture(scope="module")
def export(inputs: Path, tiny_params: dict[str, Any]) -> Export:
    """Runs the step into a new folder with the student's and the teacher's forms and limits."""

    def run(target: Path, student: dict[str, Any], teacher: dict[str, Any]) -> Path:
        section = json.loads(json.dumps(tiny_params["export_onnx"]))
        section["quantisation"]["student"] |= student
        section["quantisation"]["teacher"] |= teacher
        section["quantisation"]["max_slowdown"] = 1e9
        ports = {port: inputs / port for port in ("tokens", "teacher", "student", "undistilled")}
        run_step("export_onnx", section, {**ports, "onnx": target})
        return target

    return run


@pytest.fixture(scope="module")
def graphs() -> ExportedGraphs:
    return ExportedGraphs()


@pytest.fixture
def known_graphs(monkeypatch: pytest.MonkeyPatch, graphs: ExportedGraphs) -> None:
    """The float32 graphs are there already: they do not depend on the forms."""
    monkeypatch.setattr("components.export_onnx.step.export_graph", graphs.export_graph)


@pytest.fixture(scope="module")
def small(export: Export, tmp_path_factory: pytest.TempPathFactory, graphs: ExportedGraphs) -> Path:
    """The onnx artifact where every form that can be made is accepted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.export_onnx.step.export_graph", graphs.export_graph)
        return export(tmp_path_factory.mktemp("small") / "onnx", ALL, TEACHER)


def manifest(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(folder / "manifest.json")
    return content


def roles_of(onnx: Path) -> set[str]:
    return {folder.name for folder in onnx.iterdir() if folder.is_dir()}


def test_small_forms_beside_float32(small: Path) -> None:
    roles = {"teacher", "teacher_int8", "student", "student_float32", "undistilled"}
    assert roles_of(small) == roles
    manifests = {role: manifest(small / role) for role in roles}
    assert {role: found["role"] for role, found in manifests.items()} == {r: r for r in roles}
    forms = {role: found["form"] for role, found in manifests.items()}
    assert forms["teacher"] == forms["student_float32"] == "float32"
    assert forms["student"] == forms["undistilled"] == "static_int8"
    assert forms["teacher_int8"] == manifests["teacher"]["quantisation"]["won"]
    for smaller, whole in (("teacher_int8", "teacher"), ("student", "student_float32")):
        tokenizers = [(small / role / "tokenizer.json").read_bytes() for role in (smaller, whole)]
        assert tokenizers[0] == tokenizers[1]
        assert manifests[smaller]["size_bytes"] < manifests[whole]["size_bytes"]
        assert manifests[smaller]["against_float32"]["rows"] == 60
        assert "against_float32" not in manifests[whole]
    tried = {one["form"]: one for one in manifests["student"]["quantisation"]["tried"]}
    assert tried["static_int8"]["reason"] == "taken"
    assert tried["int8_embeddings"]["reason"] == "accepted; static_int8 is smaller"
    assert tried["folded_int8"]["accepted"]
    assert tried["folded_int8"]["label_agreement"] >= tried["static_int8"]["label_agreement"]
    assert tried["dynamic_int8"]["reason"].startswith("the graph has no layer")
    for role, found in manifests.items():
        files = [small / role / name for name in ("model.onnx", "tokenizer.json")]
        assert found["size_bytes"] == sum(file.stat().st_size for file in files)
        assert found["wordpiece_texts"] > 1000
        classifier = OnnxClassifier(small / role)
        assert classifier.encode(TEXTS).shape == (len(TEXTS), LENGTH)
        assert len(classifier.predict(TEXTS)) == len(TEXTS)
    metrics = read_card(small).metrics
    assert metrics["student_size_bytes"] == manifests["student"]["size_bytes"]
    assert not [name for name in metrics if "slow" in name]


def test_every_model_has_its_own_ids(small: Path, inputs: Path) -> None:
    classifier = OnnxClassifier(small / "student_float32")
    student = load_student(inputs / "student")
    ids = classifier.encode(TEXTS)
    assert (ids == classifier.pad_id).any()
    assert classifier.pad_id == student.config.pad_id == 1
    assert OnnxClassifier(small / "teacher").pad_id == 0
    with torch.inference_mode():
        expected = student(torch.from_numpy(ids)).numpy()
    np.testing.assert_allclose(classifier.run(ids), expected, atol=1e-5)


@pytest.mark.usefixtures("known_graphs")
def test_nothing_tried_leaves_the_three_models_in_float32(export: Export, tmp_path: Path) -> None:
    onnx = export(tmp_path / "onnx", {"forms": []}, {"forms": []})
    assert roles_of(onnx) == {"teacher", "student", "undistilled"}
    assert {manifest(onnx / role)["form"] for role in roles_of(onnx)} == {"float32"}
    assert not any("quantisation" in manifest(onnx / role) for role in roles_of(onnx))


@pytest.mark.slow
@pytest.mark.usefixtures("known_graphs")
def test_nothing_accepted_says_why(export: Export, tmp_path: Path) -> None:
    impossible = {"forms": ["dynamic_int8"], **ANY}
    onnx = export(tmp_path / "onnx", impossible, {"forms": []})
    assert roles_of(onnx) == {"teacher", "student", "undistilled"}
    record = manifest(onnx / "student")["quantisation"]
    assert record["won"] == manifest(onnx / "student")["form"] == "float32"
    assert record["tried"][0]["reason"] == "the graph has no layer of the kinds LSTM, MatMul"


@pytest.mark.slow
def test_the_same_models_give_the_same_bytes(small: Path, export: Export, tmp_path: Path) -> None:
    assert content_digest(export(tmp_path / "onnx", ALL, TEACHER)) == content_digest(small)
