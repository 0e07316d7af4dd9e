"""Contracts that every head and every student keeps."""

from pathlib import Path

import pytest
import torch

from components.shared import heads, students
from components.shared.encoders import load_encoder
from components.shared.errors import UserError
from components.shared.plugins import plugins
from components.shared.students import Student, StudentConfig, load_student, save_student
from components.shared.teacher import Teacher, TeacherConfig, load_teacher, save_teacher

HEADS = {
    "linear": {"pooling": "mean", "dropout": 0.1},
    "cnn": {"filters": 6, "kernel_widths": [2, 3], "dropout": 0.1},
}
STUDENTS = {"cnn": {"filters": 4, "kernel_widths": [1, 3], "dropout": 0.1}}
IDS = torch.tensor([[2, 9, 14, 3, 0, 0], [2, 8, 3, 0, 0, 0]])


def names(package: object) -> set[str]:
    return {module.__name__.rpartition(".")[2] for module in plugins(package)}  # type: ignore[arg-type]


def test_every_plugin_is_tested_here() -> None:
    assert names(heads) == set(HEADS)
    assert names(students) == set(STUDENTS)


def student_of(architecture: str, *, kept: int = 50, size: int = 50) -> Student:
    torch.manual_seed(0)
    config = StudentConfig(
        architecture=architecture,
        options=STUDENTS[architecture],
        width=8,
        embedding_dropout=0.5,
        frozen_embeddings=False,
        encoder_vocabulary_size=size,
        kept_ids=kept,
        labels=("a", "b", "c"),
        pad_id=0,
        max_length_tokens=16,
    )
    return Student(config).eval()


@pytest.mark.parametrize("architecture", STUDENTS)
def test_a_student_gives_the_same_logits_alone_and_padded(architecture: str) -> None:
    student = student_of(architecture)
    together = student(IDS)
    assert together.shape == (2, 3)
    torch.testing.assert_close(student(IDS[1:, :3]), together[1:])
    torch.testing.assert_close(student(IDS[:1, :4]), together[:1])


@pytest.mark.parametrize("architecture", STUDENTS)
def test_a_student_folder_loads_with_one_call(
    architecture: str, tmp_path: Path, tiny_encoder: Path
) -> None:
    student = student_of(architecture, kept=10)
    assert student.row_of_id is not None
    student.row_of_id[:] = torch.arange(50) % 10
    save_student(student, tmp_path, tokenizer=tiny_encoder / "tokenizer.json")
    again = load_student(tmp_path)
    assert again.config == student.config
    torch.testing.assert_close(again(IDS), student(IDS))
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".safetensors"}


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
    torch.manual_seed(0)
    config = TeacherConfig(
        head=head, head_options=HEADS[head], labels=("a", "b"), pad_id=0, max_length_tokens=16
    )
    teacher = Teacher(load_encoder(tiny_encoder), config).eval()
    (tmp_path / "config.json").write_bytes((tiny_encoder / "config.json").read_bytes())
    save_teacher(teacher, tmp_path)
    again = load_teacher(tmp_path)
    together = again(IDS)
    torch.testing.assert_close(together, teacher(IDS))
    torch.testing.assert_close(again(IDS[1:, :3]), together[1:], atol=1e-5, rtol=1e-4)


def test_unknown_names_and_options_are_errors_of_the_user(tiny_encoder: Path) -> None:
    with pytest.raises(UserError, match="no student architecture 'cnm'"):
        students.architecture("cnm")
    with pytest.raises(UserError, match=r"no head 'mlp'\n.*cnn, linear"):
        heads.build_head("mlp", {}, hidden_size=4, where="finetune.heads")
    with pytest.raises(UserError, match=r"finetune\.heads\.linear\.dropout: missing"):
        heads.build_head("linear", {"pooling": "cls"}, hidden_size=4, where="finetune.heads")
