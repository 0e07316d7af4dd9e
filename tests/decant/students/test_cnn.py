"""BERT's matrix in the kernels of the CNN."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from decant.students.cnn import Config, DeepConvolutions, build, transfer


def cnn(width: int, filters: int, *kernel_widths: int, layers: int = 1) -> DeepConvolutions:
    torch.manual_seed(0)
    config = Config(filters=filters, kernel_widths=kernel_widths, layers=layers, dropout=0.0)
    return build(config, width=width, max_length_tokens=8)


def kernels(body: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each kernel."""
    parts = [parameter.detach().clone() for parameter in body.parameters()]
    return list(zip(parts[::2], parts[1::2], strict=True))


def test_rows_go_into_the_middle_taps_by_hand(by_hand: nn.Module, bert_of: Any) -> None:
    body = cnn(2, 2, 3, 2, 1)
    before = kernels(body)
    with torch.no_grad():
        names = transfer(body, bert_of(by_hand, torch.eye(2), matrix="intermediate"))
    (three, three_bias), (two, two_bias), one = kernels(body)
    # three taps: rows 0 and 1 of the matrix in the middle one; [filter][channel][tap]
    assert three.tolist() == [[[0, 1, 0], [0, 2, 0]], [[0, 3, 0], [0, 4, 0]]]
    torch.testing.assert_close(three_bias, torch.tensor([0.1, 0.2]))
    # two taps: row 2 in the first, which meets the token itself; no row is left for the filter
    assert two[0].tolist() == [[5, 0], [6, 0]]
    assert two_bias[0] == pytest.approx(0.3)
    assert torch.equal(two[1], before[1][0][1])
    assert two_bias[1] == before[1][1][1]
    # and none for the last kernel
    assert torch.equal(one[0], before[2][0])
    assert names == {
        f"convolutions.convolutions.{i}.{w}": i == 0 for i in (0, 1) for w in ("weight", "bias")
    }
    assert set(names) < {name for name, _ in body.named_parameters()}


@pytest.mark.parametrize("matrix", ["intermediate", "value"])
@pytest.mark.parametrize("width", [32, 40])
def test_a_kernel_starts_as_berts_own_map_of_every_token(
    matrix: str, width: int, encoder: nn.Module, bert_of: Any
) -> None:
    body = cnn(width, 16, 3)
    into, offset = 0.7 * torch.eye(32, width), torch.randn(32)
    with torch.no_grad():
        transfer(body, bert_of(encoder, into, offset=offset, matrix=matrix, layer=1))
    layer = encoder.encoder.layer[1]  # type: ignore[index,union-attr]
    dense = layer.intermediate.dense if matrix == "intermediate" else layer.attention.self.value
    tokens = torch.randn(5, 32)
    embedded = (tokens - offset) @ into
    weight, bias = kernels(body)[0]
    convolved = functional.conv1d(embedded.T[None], weight, bias, padding=1)[0].T  # (5, 16)
    torch.testing.assert_close(convolved, dense(tokens)[:, :16].detach(), atol=1e-4, rtol=1e-4)
    # and the body gives what its pooling makes of it
    features = body(embedded[None], torch.ones(1, 5, dtype=torch.bool))[0]
    active = functional.relu(convolved)
    torch.testing.assert_close(features, torch.cat([active.amax(0), active.mean(0)]))


def test_without_a_matrix_nothing_changes(by_hand: nn.Module, bert_of: Any) -> None:
    body = cnn(2, 2, 1, 3)
    before = kernels(body)
    assert transfer(body, bert_of(by_hand, torch.eye(2))) == {}
    for (weight, bias), (old, old_bias) in zip(kernels(body), before, strict=True):
        assert torch.equal(weight, old)
        assert torch.equal(bias, old_bias)


def test_a_layer_adds_what_its_kernel_sees_and_feeds_the_next() -> None:
    body = cnn(1, 1, 1, 3, layers=3)
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.zero_()
        for layer in body.layers:
            layer.convolution.weight[:] = torch.tensor([[[1.0, 0, -1]]])  # type: ignore[operator,union-attr]
        body.convolutions.convolutions[0].weight[:] = 1  # type: ignore[operator]
    states = torch.tensor([[1.0, 2, 0, 9]]).unsqueeze(2)
    mask = torch.tensor([[True, True, True, False]])
    # before - behind, zeros beyond the text: -2, 1, 2, so 1 + 0, 2 + 1, 0 + 2;
    # then -3, -1, 3, so 1, 3, 2 + 3. The kernel of width 1 has the maximum 5 and the mean 3.
    assert body(states, mask).tolist() == [[5, 0, 3, 0]]


def test_the_matrix_goes_into_the_lowest_layer(by_hand: nn.Module, bert_of: Any) -> None:
    body = cnn(2, 2, 1, 3, layers=2)
    before = kernels(body.convolutions)
    with torch.no_grad():
        names = transfer(body, bert_of(by_hand, torch.eye(2), matrix="intermediate"))
    weight, bias = kernels(body.layers)[0]
    assert weight.tolist() == [[[0, 1, 0], [0, 2, 0]], [[0, 3, 0], [0, 4, 0]]]
    torch.testing.assert_close(bias, torch.tensor([0.1, 0.2]))
    for (now, _), (old, _) in zip(kernels(body.convolutions), before, strict=True):
        assert torch.equal(now, old)
    assert names == {"layers.0.convolution.weight": True, "layers.0.convolution.bias": True}
    assert set(names) < {name for name, _ in body.named_parameters()}
