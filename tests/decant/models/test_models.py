"""Contracts that every head and every student keeps."""

from pathlib import Path
from types import ModuleType
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor

from components.export_onnx.graph import export_graph
from decant import students
from decant.models import heads
from decant.models.encoder import load_encoder
from decant.models.teacher import Teacher, TeacherConfig, load_teacher, save_teacher
from decant.runtime.plugins import plugin_names
from decant.students._student import Student, StudentConfig, load_student, save_student
from tests.errors import raises

CONVOLUTIONS = {"filters": 6, "kernel_widths": [2, 3], "dropout": 0.1}
HEADS = {
    "linear": {"pooling": "mean", "dropout": 0.1},
    "cnn": CONVOLUTIONS,
    "fusion": CONVOLUTIONS | {"pooling": "cls"},
}
TRANSFORMER = {
    "layers": 2,
    "heads": 3,
    "head_size": 4,
    "intermediate": 10,
    "copied_layers": "even",
    "dropout": 0.1,
    "pooling": "mean",
}
# Names of cases: the architecture, and after a dash what is special.
STUDENTS: dict[str, dict[str, Any]] = {
    "bilstm": {"units": 5, "layers": 1, "dropout": 0.1, "pooling": "max_mean"},
    "bilstm-deep": {"units": 5, "layers": 3, "dropout": 0.1, "pooling": "cls"},
    "cnn": {"filters": 4, "kernel_widths": [1, 3, 4], "layers": 2, "dropout": 0.1},
    "gated": {"units": 5, "kernel_width": 2, "dropout": 0.1},
    "static": {"hidden": 0, "dropout": 0.1},
    "static-hidden": {"hidden": 6, "dropout": 0.1},
    "transformer": TRANSFORMER,
    "transformer-max": TRANSFORMER | {"pooling": "max", "layers": 1},
}
PAD, LENGTH = 0, 16
IDS = torch.tensor([[2, 9, 14, 3, 0, 0], [2, 8, 3, 0, 0, 0]])


@pytest.mark.parametrize("kind", [heads, students])
def test_every_plugin_is_tested_here_and_has_its_parameters(kind: ModuleType) -> None:
    cases = HEADS if kind is heads else STUDENTS
    tested = {case.partition("-")[0] for case in cases}
    assert set(plugin_names(kind.__name__)) == tested
    assert set(plugin_names(f"{kind.__name__}.options")) == tested


def student_of(case: str, *, kept: int = 50, size: int = 50) -> Student:
    torch.manual_seed(0)
    config = StudentConfig(
        architecture=case.partition("-")[0],
        options=STUDENTS[case],
        width=8,
        embedding_dropout=0.5,
        frozen=(),
        vocabulary_size=size,
        kept_ids=kept,
        labels=("a", "b", "c"),
        pad_id=PAD,
        max_length_tokens=LENGTH,
    )
    return Student(config).eval()


def teacher_of(head: str, tiny_encoder: Path) -> Teacher:
    torch.manual_seed(0)
    config = TeacherConfig(
        head=head, head_options=HEADS[head], labels=("a", "b"), pad_id=PAD, max_length_tokens=LENGTH
    )
    return Teacher(load_encoder(tiny_encoder), config).eval()


def random_ids(*lengths: int) -> Tensor:
    """Texts of these lengths, padded to the longest and two beyond."""
    ids = torch.randint(1, 50, (len(lengths), max(lengths) + 2))
    return ids.where(torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None], PAD)


@pytest.mark.parametrize("case", STUDENTS)
def test_a_student_gives_the_same_logits_alone_and_padded(case: str) -> None:
    student = student_of(case)
    ids = random_ids(4, 9, 1, 13, 2)
    together = student(ids)
    assert together.shape == (5, 3)
    assert student.features(ids).shape == (5, student.output_size)
    for row, length in enumerate((4, 9, 1, 13, 2)):
        alone = student(ids[row : row + 1, :length])
        torch.testing.assert_close(alone, together[row : row + 1])


@pytest.mark.parametrize("case", STUDENTS)
def test_every_parameter_of_a_student_learns(case: str) -> None:
    student = student_of(case).train()
    student(random_ids(4, 9, 12)).square().sum().backward()
    assert student.embedding.weight.grad is not None
    still = [
        name
        for name, parameter in student.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert still == []


@pytest.mark.parametrize("case", STUDENTS)
def test_a_student_answers_in_onnx_runtime_as_in_torch(case: str, tmp_path: Path) -> None:
    student = student_of(case, kept=10)
    assert student.row_of_id is not None
    student.row_of_id[:] = torch.arange(50) % 10
    assert_same_in_onnx_runtime(student, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_a_teacher_answers_in_onnx_runtime_as_in_torch(
    head: str, tmp_path: Path, tiny_encoder: Path
) -> None:
    assert_same_in_onnx_runtime(teacher_of(head, tiny_encoder), tmp_path)


def assert_same_in_onnx_runtime(model: Student | Teacher, folder: Path) -> None:
    """For batches and lengths of which none is the exporter's example."""
    export_graph(model, folder / "model.onnx", pad_id=PAD, opset=20)
    session = onnxruntime.InferenceSession(
        folder / "model.onnx", providers=["CPUExecutionProvider"]
    )
    with torch.no_grad():
        for ids in (random_ids(4, 9, 1, 14, 2), random_ids(3), random_ids(1)[:, :1]):
            (logits,) = session.run(["logits"], {"input_ids": ids.numpy()})
            torch.testing.assert_close(torch.from_numpy(logits), model(ids), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("case", STUDENTS)
def test_a_student_folder_loads_with_one_call(
    case: str, tmp_path: Path, tiny_encoder: Path
) -> None:
    student = student_of(case, kept=10)
    assert student.row_of_id is not None
    student.row_of_id[:] = torch.arange(50) % 10
    tokenizer = (tiny_encoder / "tokenizer.json").read_text("utf-8")
    save_student(student, tmp_path, tokenizer=tokenizer)
    again = load_student(tmp_path)
    assert again.config == student.config
    torch.testing.assert_close(again(IDS), student(IDS))
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_frozen_parameters_are_frozen_again_when_loaded(tmp_path: Path) -> None:
    student = student_of("static-hidden")
    student.freeze(["body.hidden.weight"])
    student.freeze(["embedding.weight"])
    save_student(student, tmp_path, tokenizer="{}")
    again = load_student(tmp_path)
    assert again.config.frozen == ("body.hidden.weight", "embedding.weight")
    for model in (student, again):
        learning = {name for name, one in model.named_parameters() if one.requires_grad}
        assert learning == {"body.hidden.bias", "output.weight", "output.bias"}


def test_pruned_ids_share_the_unknown_tokens_embedding() -> None:
    student = student_of("cnn", kept=10)
    assert student.row_of_id is not None
    student.row_of_id[:] = 1
    student.row_of_id[:10] = torch.arange(10)
    torch.testing.assert_close(
        student(torch.tensor([[2, 40, 3]])), student(torch.tensor([[2, 1, 3]]))
    )


@pytest.mark.parametrize("head", HEADS)
def test_a_teacher_folder_loads_and_padding_does_not_matter(
    head: str, tmp_path: Path, tiny_encoder: Path
) -> None:
    teacher = teacher_of(head, tiny_encoder)
    (tmp_path / "config.json").write_bytes((tiny_encoder / "config.json").read_bytes())
    save_teacher(teacher, tmp_path)
    again = load_teacher(tmp_path)
    together = again(IDS)
    torch.testing.assert_close(together, teacher(IDS))
    torch.testing.assert_close(again(IDS[1:, :3]), together[1:], atol=1e-5, rtol=1e-4)


def test_unknown_names_and_options_are_errors_of_the_user(tiny_encoder: Path) -> None:
    with raises("student-unknown", "'cnm'", "cnn"):
        students.architecture("cnm")
    with raises("head-unknown", "'mlp'", "cnn, fusion, linear"):
        heads.build_head("mlp", {}, hidden_size=4, where="finetune.heads")
    with raises("parameter-missing", "finetune.heads.linear.dropout"):
        heads.build_head("linear", {"pooling": "cls"}, hidden_size=4, where="finetune.heads")
