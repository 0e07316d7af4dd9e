"""Embeddings drawn to the teacher's: the loss by hand, the rows by piece, the training's effect."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor

from components.distill.embedding_matching import EmbeddingMatching, teacher_rows
from components.transfer_weights.student_vocabulary import pruned_tokenizer
from decant.models.encoder import build_encoder
from decant.models.teacher import Teacher, TeacherConfig, save_teacher
from decant.students._student import Student, StudentConfig

PAD = 0
IDS = torch.tensor([[1, 2, 2], [3, PAD, PAD]])
NONE = torch.zeros(2, 1)


def student(ids: int = 4, width: int = 2) -> Student:
    torch.manual_seed(0)
    return Student(
        StudentConfig(
            architecture="static",
            options={"hidden": 0, "dropout": 0.0},
            width=width,
            embedding_dropout=0.5,  # matching sees the table, not what dropout leaves of it
            frozen=(),
            vocabulary_size=ids,
            kept_ids=ids,
            labels=("a", "b"),
            pad_id=PAD,
            max_length_tokens=8,
        )
    )


def constant(logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], _: float) -> Tensor:
    return torch.tensor(7.0)


def test_the_mean_over_the_tokens_of_the_squared_distance_to_the_teachers_row() -> None:
    model = student()
    with torch.no_grad():
        model.embedding.weight.copy_(torch.tensor([[9.0, 9], [1, 0], [0, 1], [1, 1]]))
    table = torch.tensor([[50.0], [3.0], [2.0], [6.0]])
    matching = EmbeddingMatching(constant, model, table, [2.0, 0.0])
    with torch.no_grad():
        matching.map.weight.copy_(torch.tensor([[1.0, 2.0]]))
        matching.map.bias.fill_(1.0)
    # mapped: id 1 → 2, id 2 → 3 (twice), id 3 → 4; squared differences 1, 1, 1, 4
    batch = {"input_ids": IDS}
    assert matching(NONE, NONE, batch, 0.0).item() == pytest.approx(7 + 2 * 7 / 4)
    assert matching(NONE, NONE, batch, 0.5).item() == pytest.approx(7 + 1 * 7 / 4)
    assert matching(NONE, NONE, batch, 1.0).item() == 7


def test_only_ids_of_the_batch_learn_and_the_students_weights_stay_the_students() -> None:
    model = student()
    matching = EmbeddingMatching(constant, model, torch.ones(4, 3), 1.0)
    assert {name for name, _ in matching.named_parameters()} == {"map.weight", "map.bias"}
    assert matching.state_dict().keys() == {"map.weight", "map.bias"}
    matching(NONE, NONE, {"input_ids": IDS}, 0.0).backward()  # type: ignore[no-untyped-call]
    gradient = model.embedding.weight.grad
    assert gradient is not None
    assert gradient.abs().sum(1).bool().tolist() == [False, True, True, True]


def test_rows_are_found_by_piece_not_by_id(tiny_encoder: Path, tmp_path: Path) -> None:
    config = TeacherConfig(
        head="linear",
        head_options={"pooling": "mean", "dropout": 0.0},
        labels=("a", "b"),
        pad_id=0,
        max_length_tokens=16,
    )
    teacher, own = tmp_path / "teacher", tmp_path / "initial_student"
    teacher.mkdir()
    own.mkdir()
    model = Teacher(build_encoder(tiny_encoder), config)
    save_teacher(model, teacher)
    content = (tiny_encoder / "tokenizer.json").read_text("utf-8")
    shutil.copyfile(tiny_encoder / "config.json", teacher / "config.json")
    (teacher / "tokenizer.json").write_text(content, "utf-8")
    vocabulary: dict[str, int] = json.loads(content)["model"]["vocab"]
    kept = sorted(index for piece, index in vocabulary.items() if piece not in {"film", "##s"})
    pruned = pruned_tokenizer(json.loads(content), np.array(kept))
    assert pruned is not None
    (own / "tokenizer.json").write_text(pruned, "utf-8")
    rows = teacher_rows(teacher, own)
    table = model.encoder.get_input_embeddings().weight  # type: ignore[operator]
    assert rows.shape == (len(kept), table.shape[1])
    torch.testing.assert_close(rows, table[torch.tensor(kept)])
    moved = Tokenizer.from_file(str(own / "tokenizer.json")).token_to_id("good")
    assert moved != vocabulary["good"]
    torch.testing.assert_close(rows[moved], table[vocabulary["good"]])
