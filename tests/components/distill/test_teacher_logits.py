"""Logits come back in the order of the rows, whatever the batches were."""

import numpy as np
import torch
from torch import Tensor, nn

from components.distill.teacher_logits import predict_logits
from decant.data.tokens import TokenRows


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
