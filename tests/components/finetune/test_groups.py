"""Which parameter learns how fast."""

from pathlib import Path

import pytest

from components.finetune.step import learning_rate_groups
from decant.models.encoder import load_encoder
from decant.models.teacher import Teacher, TeacherConfig


def teacher_of(encoder: Path, head: str, options: dict[str, object]) -> Teacher:
    return Teacher(
        load_encoder(encoder),
        TeacherConfig(
            head=head,
            head_options=options,
            labels=("a", "b", "c"),
            pad_id=0,
            max_length_tokens=16,
        ),
    )


def test_rates_fall_by_the_decay_from_head_to_embeddings(tiny_encoder: Path) -> None:
    teacher = teacher_of(tiny_encoder, "linear", {"pooling": "mean", "dropout": 0.0})
    groups = learning_rate_groups(teacher, learning_rate=1.0, layer_decay=0.5, weight_decay=0.1)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    named = dict(teacher.named_parameters())
    expected = {
        "output.weight": 1.0,
        "encoder.encoder.layer.1.output.dense.weight": 0.5,
        "encoder.encoder.layer.0.output.dense.weight": 0.25,
        "encoder.embeddings.word_embeddings.weight": 0.125,
    }
    for name, value in expected.items():
        assert rate[id(named[name])] == pytest.approx(value), name
    assert len(rate) == len(named)
    assert decay[id(named["output.weight"])] == 0.1
    assert decay[id(named["output.bias"])] == 0.0
