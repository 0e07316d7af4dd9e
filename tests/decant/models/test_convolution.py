"""Masked convolutions against values computed by hand, and their indifference to padding."""

import pytest
import torch

from decant.models.convolution import MaskedConvolutions, middle_tap


def test_by_hand_for_one_filter_of_width_two() -> None:
    layer = MaskedConvolutions(1, 1, [2], mean=True)
    with torch.no_grad():
        layer.convolutions[0].weight.copy_(torch.tensor([[[1.0, 10.0]]]))  # type: ignore[operator]
        layer.convolutions[0].bias.copy_(torch.tensor([-5.0]))  # type: ignore[operator]
    states = torch.tensor([[[1.0], [2.0], [7.0]]])  # the third position is padding
    mask = torch.tensor([[True, True, False]])
    # windows (1, 2) and (2, 0): 1 + 20 - 5 = 16 and 2 + 0 - 5 = -3, which ReLU makes 0
    assert layer(states, mask).tolist() == [[16.0, 8.0]]


def test_padding_does_not_matter_and_one_token_is_enough() -> None:
    torch.manual_seed(0)
    layer = MaskedConvolutions(8, 4, [1, 2, 3, 5], mean=True).eval()
    for length in (1, 2, 6):
        states = torch.randn(1, length, 8)
        alone = layer(states, torch.ones(1, length, dtype=torch.bool))
        garbage = torch.cat([states, torch.randn(1, 5, 8)], dim=1)
        mask = torch.arange(length + 5)[None] < length
        torch.testing.assert_close(layer(garbage, mask), alone)
        assert alone.shape == (1, layer.output_size) == (1, 4 * 4 * 2)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_the_middle_tap_meets_the_token_itself(width: int) -> None:
    layer = MaskedConvolutions(1, 1, [width], mean=True)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.convolutions[0].weight[:, :, middle_tap(width)] = 1  # type: ignore[index,operator]
    states = torch.tensor([[[1.0], [2.0], [6.0], [50.0]]])
    mask = torch.tensor([[True, True, True, False]])
    assert layer(states, mask).tolist() == [[6.0, 3.0]]
    first_only = torch.tensor([[True, False, False, False]])
    assert layer(states, first_only).tolist() == [[1.0, 1.0]]
