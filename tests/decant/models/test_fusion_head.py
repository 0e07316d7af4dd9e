"""Feature fusion: the linear head's features beside the CNN's."""

import pytest
import torch

from decant.models.heads import cnn, fusion, linear

CONVOLUTIONS = {"filters": 3, "kernel_widths": (1, 2), "dropout": 0.1}


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_its_features_are_those_of_both_heads(pooling: str) -> None:
    torch.manual_seed(0)
    head = fusion.build(fusion.Config(**CONVOLUTIONS, pooling=pooling), 4).eval()
    pooled = linear.build(linear.Config(pooling=pooling, dropout=0.1), 4).eval()
    convolutions = cnn.build(cnn.Config(**CONVOLUTIONS), 4).eval()
    convolutions.load_state_dict(head.convolutions.state_dict())
    states = torch.randn(2, 5, 4)
    mask = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    features = head(states, mask)
    assert features.shape == (2, head.output_size) == (2, 4 + 2 * 3)
    torch.testing.assert_close(features[:, :4], pooled(states, mask))
    torch.testing.assert_close(features[:, 4:], convolutions(states, mask))
