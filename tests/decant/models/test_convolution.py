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


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_training_computes_the_same_and_the_same_gradients(mean: bool, length: int) -> None:
    """In training the kernels are one product: against PyTorch's convolutions and its gradients."""
    torch.manual_seed(0)
    pooled = MaskedConvolutions(4, 3, [1, 2, 3, 6], mean=mean).double()
    lengths = torch.tensor([length, max(1, length - 3)])
    mask = torch.arange(length) < lengths.unsqueeze(1)
    states = torch.randn(2, length, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(pooled.output_size, dtype=torch.float64)

    def outputs_and_gradients() -> tuple[torch.Tensor, ...]:
        found = pooled(states, mask)
        gradients = torch.autograd.grad((found @ weights).sum(), [states, *pooled.parameters()])
        return found, *gradients

    expected = (pooled.eval(), outputs_and_gradients())[1]
    found = (pooled.train(), outputs_and_gradients())[1]
    assert len(found) == 10
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_training_in_bfloat16_stays_close() -> None:
    torch.manual_seed(0)
    pooled = MaskedConvolutions(32, 16, [1, 2, 3], mean=True)
    states, mask = torch.randn(8, 12, 32), torch.ones(8, 12, dtype=torch.bool)
    expected = pooled.eval()(states, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pooled.train()(states, mask)
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)
    found.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in pooled.parameters())
