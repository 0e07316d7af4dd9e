"""The BiLSTM against torch.nn.LSTM on packed sequences, and BERT's matrix in it."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from components.export_onnx.graph import export_graph
from decant.students._lstm import BidirectionalLSTM
from decant.students.bilstm import BiLSTM, Config, build, transfer

LENGTHS = torch.tensor([4, 7, 1])
MASK = torch.arange(7) < LENGTHS[:, None]


def bilstm(width: int, units: int, layers: int = 1) -> BiLSTM:
    torch.manual_seed(0)
    config = Config(units=units, layers=layers, dropout=0.0, pooling="max_mean")
    return build(config, width=width, max_length_tokens=8).eval()


def onnx_order(weights: Tensor) -> Tensor:
    """torch's blocks input, forget, candidate, output as ONNX has them."""
    gates = weights.chunk(4)
    return torch.cat([gates[0], gates[3], gates[1], gates[2]])


def test_it_is_torchs_own_lstm_on_packed_sequences() -> None:
    torch.manual_seed(0)
    reference = nn.LSTM(3, 5, batch_first=True, bidirectional=True)
    layer = BidirectionalLSTM(3, 5)
    with torch.no_grad():
        for direction, suffix in enumerate(("", "_reverse")):
            weights = {
                name: onnx_order(getattr(reference, f"{name}_l0{suffix}"))
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            layer.input_weights[direction] = weights["weight_ih"]
            layer.recurrent_weights[direction] = weights["weight_hh"]
            layer.biases[direction] = torch.cat([weights["bias_ih"], weights["bias_hh"]])
    states = torch.randn(3, 7, 3)
    packed = pack_padded_sequence(states, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(reference(packed)[0], batch_first=True)
    torch.testing.assert_close(layer(states, MASK) * MASK[:, :, None], expected)


def test_weights_start_within_torchs_bound() -> None:
    for parameter in bilstm(8, 16).parameters():
        assert 0.9 / 4 < parameter.abs().max() <= 1 / 4


def test_berts_rows_go_into_the_cell_candidate_by_hand(by_hand: nn.Module, bert_of: Any) -> None:
    body = bilstm(2, 2)
    layer = body.layers[0]
    before = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    with torch.no_grad():
        names = transfer(body, bert_of(by_hand, torch.eye(2), matrix="intermediate"))
    assert isinstance(layer, BidirectionalLSTM)
    # forward: rows 0 and 1; gates of two units each: input, output, forget, candidate
    nothing = [0.0, 0]
    assert layer.input_weights[0].tolist() == [nothing] * 6 + [[1, 2], [3, 4]]
    assert not layer.recurrent_weights[0].any()
    expected = torch.tensor([0, 0, 0, 0, 1, 1, 0.1, 0.2] + [0.0] * 8)
    torch.testing.assert_close(layer.biases[0], expected)
    # backward: row 2 for its first unit; the second one, of the rows 1, 3, 5, 7, is as it was
    assert layer.input_weights[1, ::2].tolist() == [nothing] * 3 + [[5, 6]]
    assert not layer.recurrent_weights[1, ::2].any()
    expected = torch.tensor([0, 0, 1, 0.3] + [0.0] * 4)
    torch.testing.assert_close(layer.biases[1, ::2], expected)
    for name, parameter in layer.named_parameters():
        assert torch.equal(parameter[1, 1::2], before[name][1, 1::2])
    assert names == dict.fromkeys((name for name, _ in body.named_parameters()), False)


def test_the_cell_starts_as_a_fading_sum_of_berts_own_map(encoder: nn.Module, bert_of: Any) -> None:
    body = bilstm(32, 8, layers=2)
    into, offset = 0.7 * torch.eye(32), torch.randn(32)
    with torch.no_grad():
        names = transfer(body, bert_of(encoder, into, offset=offset, matrix="value", layer=1))
        assert names == dict.fromkeys(
            ("layers.0.input_weights", "layers.0.recurrent_weights", "layers.0.biases"), True
        )
        tokens = torch.randn(5, 32)
        value = encoder.encoder.layer[1].attention.self.value(tokens)  # type: ignore[index,union-attr]
        states = body.layers[0](((tokens - offset) @ into)[None], torch.ones(1, 5) > 0)[0]
    keep = torch.sigmoid(torch.tensor(1.0))
    cell = torch.zeros(8)
    for token in range(5):  # forward
        cell = keep * cell + torch.tanh(value[token, :8]) / 2
        torch.testing.assert_close(states[token, :8], torch.tanh(cell) / 2, atol=1e-5, rtol=1e-4)
    cell = torch.zeros(8)
    for token in reversed(range(5)):
        cell = keep * cell + torch.tanh(value[token, 8:16]) / 2
        torch.testing.assert_close(states[token, 8:], torch.tanh(cell) / 2, atol=1e-5, rtol=1e-4)


def test_it_trains_from_there(encoder: nn.Module, bert_of: Any) -> None:
    body = bilstm(32, 8).train()
    with torch.no_grad():
        transfer(body, bert_of(encoder, torch.eye(32), matrix="intermediate"))
    body(torch.randn(2, 5, 32), torch.ones(2, 5) > 0).square().sum().backward()
    for parameter in body.parameters():
        assert parameter.grad is not None
        assert (parameter.grad != 0).float().mean() > 0.99  # of all gates


@pytest.mark.slow
def test_each_layer_is_one_operator_with_its_weights_in_the_graph(tmp_path: Path) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(9, 4)
            self.body = bilstm(4, 3, layers=2)

        def forward(self, input_ids: Tensor) -> Tensor:
            features: Tensor = self.body(self.embedding(input_ids), input_ids != 0)
            return features

    export_graph(Tagger(), tmp_path / "model.onnx", pad_id=0, opset=20)
    graph = onnx.load(tmp_path / "model.onnx").graph
    weights = {initializer.name for initializer in graph.initializer}
    operators = [node for node in graph.node if node.op_type == "LSTM"]
    assert len(operators) == 2
    for operator in operators:
        assert set(operator.input[1:4]) <= weights
    assert not {"Loop", "Scan"} & {node.op_type for node in graph.node}
