"""Pooling over the real tokens, by hand."""

import pytest
import torch

from decant.models.pooling import Pooling, pool, pooled_size

STATES = torch.tensor([[[1.0, -5], [3, -1], [100, 100]], [[2, -2], [9, 9], [9, 9]]])
MASK = torch.tensor([[True, True, False], [True, False, False]])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [[2, -3], [2, -2]]),
        ("max", [[3, -1], [2, -2]]),
        ("max_mean", [[3, -1, 2, -3], [2, -2, 2, -2]]),
        ("cls", [[1, -5], [2, -2]]),
    ],
)
def test_padding_takes_no_part(how: Pooling, expected: list[list[float]]) -> None:
    pooled = pool(STATES, MASK, how)
    assert pooled.tolist() == expected
    assert pooled.shape == (2, pooled_size(2, how))
