"""Dropout on a processor: the shares and scale of PyTorch's own, the same for the same seed."""

import pytest
import torch
from torch import nn

from decant.training.dropout import ProcessorDropout, use_processor_dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_values_are_zero_with_probability_p_and_keep_their_mean(p: float) -> None:
    torch.manual_seed(0)
    ones = torch.ones(499, 401)  # not a multiple of the values of a word
    found = ProcessorDropout(p)(ones)
    spread = (p * (1 - p) / found.numel()) ** 0.5
    assert abs((found == 0).float().mean().item() - p) < 5 * spread
    torch.testing.assert_close(found[found != 0].unique(), torch.tensor([1 / (1 - p)]))


def test_neighbouring_values_are_independent() -> None:
    torch.manual_seed(0)
    kept = ProcessorDropout(0.5)(torch.ones(400_000)) != 0
    for apart in (1, 2, 3, 4, 8):
        both = (kept[:-apart] & kept[apart:]).float().mean().item()
        assert abs(both - 0.25) < 0.005


def test_gradient_evaluation_and_seed() -> None:
    module, values = ProcessorDropout(0.4), torch.randn(7, 5, requires_grad=True)
    torch.manual_seed(1)
    first = module(values)
    torch.manual_seed(1)
    assert torch.equal(first, module(values))
    first.sum().backward()
    torch.testing.assert_close(values.grad, (first != 0).float() / 0.6)
    assert module.eval()(values) is values


def test_every_dropout_of_a_model_is_replaced_and_nothing_else() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2), nn.Sequential(nn.Dropout(0.5)))
    before = list(model.state_dict())
    use_processor_dropout(model)
    assert list(model.state_dict()) == before
    assert [m.p for m in model.modules() if isinstance(m, ProcessorDropout)] == [0.2, 0.5]
    assert not any(isinstance(m, nn.Dropout) for m in model.modules())
