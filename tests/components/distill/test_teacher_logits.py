"""Logits come back in the order of the rows, whatever the batches were."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.distill.teacher_logits import predict_logits
from decant.data.tokens import TokenRows
from decant.models.encoder import load_encoder
from decant.models.teacher import Teacher, TeacherConfig


class SumAndCount(nn.Module):
    """Logits that can be computed by hand: the sum of the ids and the number of real tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, ids: Tensor) -> Tensor:
        self.shapes.append(tuple(ids.shape))
        return torch.stack([ids.sum(1), (ids != 0).sum(1)], dim=1).float()


def test_order_and_batch_bound() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 30, size=200)
    rows = TokenRows.of(
        (random.integers(1, 50, size=length).astype(np.int32) for length in lengths), [-1] * 200
    )
    model = SumAndCount()
    logits = predict_logits(
        model, rows, pad_id=0, device=torch.device("cpu"), bfloat16=False, tokens_per_batch=100
    )
    assert logits[:, 0].tolist() == [float(row.sum()) for row in rows]
    assert logits[:, 1].tolist() == lengths.tolist()
    assert all(batch * length <= 100 for batch, length in model.shapes)
    assert len(model.shapes) < 60


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("linear", {"pooling": "mean", "dropout": 0.1}),
        ("cnn", {"filters": 4, "kernel_widths": [1, 2], "dropout": 0.1}),
        ("fusion", {"pooling": "cls", "filters": 4, "kernel_widths": [2], "dropout": 0.1}),
    ],
)
def test_bfloat16_is_close_for_every_head(
    tiny_encoder: Path, head: str, options: dict[str, Any]
) -> None:
    config = TeacherConfig(
        head=head, head_options=options, labels=("a", "b"), pad_id=0, max_length_tokens=16
    )
    torch.manual_seed(0)
    teacher = Teacher(load_encoder(tiny_encoder), config)
    random = np.random.default_rng(0)
    rows = TokenRows.of(
        [random.integers(1, 9, size=length).astype(np.int32) for length in (3, 16, 5)], [-1] * 3
    )
    exact, rough = (
        predict_logits(
            teacher,
            rows,
            pad_id=0,
            device=torch.device("cpu"),
            bfloat16=bfloat16,
            tokens_per_batch=20,
        )
        for bfloat16 in (False, True)
    )
    assert exact.dtype == rough.dtype == np.float32
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(rough, exact, atol=0.05)
