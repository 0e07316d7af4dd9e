"""The gated average against its recurrence, token by token, and BERT's matrix in it."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from components.export_onnx.folded import fold
from components.export_onnx.graph import export_graph
from decant.students.gated import Config, GatedAverages, build, transfer


def gated(width: int, units: int, kernel: int = 3, max_length_tokens: int = 16) -> GatedAverages:
    torch.manual_seed(0)
    config = Config(units=units, kernel_width=kernel, dropout=0.0)
    return build(config, width=width, max_length_tokens=max_length_tokens).eval()


def by_recurrence(body: GatedAverages, states: Tensor) -> Tensor:
    """Features (4 units,) of one text (L, W), in float64: one token after the other."""
    kernel = body.gates.kernel_size[0]
    before = (kernel - 1) // 2
    padded = functional.pad(states.double().T[None], (before, kernel - 1 - before))
    gates, candidates = (
        functional.conv1d(padded, one.weight.double(), one.bias.double())[0].T  # type: ignore[union-attr]
        for one in (body.gates, body.candidates)
    )
    highest, last = [], []
    for direction in (slice(0, body.units), slice(body.units, 2 * body.units)):
        order = range(len(states)) if direction.start == 0 else reversed(range(len(states)))
        state = torch.zeros(body.units, dtype=torch.float64)
        top = state
        for token in order:
            opened = torch.sigmoid(gates[token, direction])
            state = torch.exp(-body.fading * opened) * state + opened * candidates[token, direction]
            top = torch.maximum(top, state)
        highest.append(top)
        last.append(state)
    return torch.cat([*highest, *last]).float()


@pytest.mark.parametrize("kernel", [1, 2, 3])
@torch.no_grad()
def test_it_is_its_recurrence_whatever_the_batch_is_padded_to(kernel: int) -> None:
    body = gated(4, 5, kernel)
    states = torch.randn(3, 9, 4)
    lengths = torch.tensor([9, 1, 6])
    features = body(states, torch.arange(9) < lengths[:, None])
    for row, length in enumerate(lengths):
        expected = by_recurrence(body, states[row, :length])
        torch.testing.assert_close(features[row], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [16, 512, 4096])
@torch.no_grad()
def test_float32_holds_open_gates_over_a_text_of_any_length(length: int) -> None:
    body = gated(4, 5, max_length_tokens=length)
    body.gates.bias += 30.0  # type: ignore[operator]
    states = torch.randn(1, length, 4)
    features = body(states, torch.ones(1, length) > 0)
    torch.testing.assert_close(features[0], by_recurrence(body, states[0]), atol=1e-4, rtol=1e-3)


def test_states_by_hand() -> None:
    """One unit each way over the tokens 1, 2, with gates half open: half of a token is taken in."""
    body = gated(1, 1, kernel=1)
    with torch.no_grad():
        for one in (body.gates, body.candidates):
            one.weight[:] = 0
            one.bias[:] = 0  # type: ignore[index]
        body.candidates.weight[0] = 1
        body.candidates.weight[1] = -1
        features = body(torch.tensor([[[1.0], [2.0]]]), torch.ones(1, 2) > 0)[0]
    fading = torch.exp(torch.tensor(-2 * 0.5))
    forward = fading * 0.5 + 1.0  # ½ of 1, then faded beside ½ of 2
    backward = fading * -1.0 - 0.5
    # the highest, not below 0: the backward unit's are all negative; then the last
    torch.testing.assert_close(features, torch.stack([forward, 0 * fading, forward, backward]))


def test_berts_rows_go_into_the_candidates_by_hand(by_hand: nn.Module, bert_of: Any) -> None:
    body = gated(2, 2)
    before = {name: parameter.detach().clone() for name, parameter in body.named_parameters()}
    with torch.no_grad():
        names = transfer(body, bert_of(by_hand, torch.eye(2), matrix="intermediate"))
    # rows 0 and 1 forward, row 2 backward; the last unit is as it was, and so are all gates
    weight, bias = body.candidates.weight, body.candidates.bias
    assert bias is not None
    assert weight[:3, :, 1].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert not weight[:3, :, [0, 2]].any()
    torch.testing.assert_close(bias[:3], torch.tensor([0.1, 0.2, 0.3]))
    assert torch.equal(weight[3], before["candidates.weight"][3])
    assert torch.equal(bias[3], before["candidates.bias"][3])
    assert torch.equal(body.gates.weight, before["gates.weight"])
    assert names == {"candidates.weight": False, "candidates.bias": False}


def test_it_starts_as_a_fading_sum_of_berts_own_map(encoder: nn.Module, bert_of: Any) -> None:
    body = gated(32, 16)
    into, offset = 0.7 * torch.eye(32), torch.randn(32)
    tokens = torch.randn(5, 32)
    with torch.no_grad():
        names = transfer(body, bert_of(encoder, into, offset=offset, matrix="value", layer=1))
        for parameter in body.gates.parameters():
            parameter.zero_()
        value = encoder.encoder.layer[1].attention.self.value(tokens)  # type: ignore[index,union-attr]
        features = body(((tokens - offset) @ into)[None], torch.ones(1, 5) > 0)[0]
    assert names == {"candidates.weight": True, "candidates.bias": True}
    fading = torch.exp(torch.tensor(-body.fading / 2))
    state = torch.zeros(16)
    for token in range(5):
        state = fading * state + value[token, :16] / 2
    torch.testing.assert_close(features[32:48], state, atol=1e-5, rtol=1e-4)


def test_it_trains_from_there_also_in_bfloat16(encoder: nn.Module, bert_of: Any) -> None:
    body = gated(32, 16).train()
    with torch.no_grad():
        transfer(body, bert_of(encoder, torch.eye(32), matrix="intermediate"))
    mask = torch.arange(9) < torch.tensor([[9], [4]])
    with torch.autocast("cpu", torch.bfloat16):
        body(torch.randn(2, 9, 32), mask).square().sum().backward()
    for parameter in body.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert (parameter.grad != 0).float().mean() > 0.99


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.body = gated(8, 6, max_length_tokens=64)

    def forward(self, input_ids: Tensor) -> Tensor:
        features: Tensor = self.body(self.embedding(input_ids), input_ids != 0)
        return features


@pytest.mark.slow
def test_its_folded_graph_answers_as_its_model_without_a_matrix_product(tmp_path: Path) -> None:
    import onnxruntime

    model = Tagger().eval()
    export_graph(model, tmp_path / "model.onnx", pad_id=0, opset=20)
    graph = onnx.load(tmp_path / "model.onnx")
    fold(graph)
    onnx.checker.check_model(graph, full_check=True)
    assert not {node.op_type for node in graph.graph.node} & {"Conv", "Loop", "Scan", "LSTM"}
    ids = torch.randint(1, 50, (3, 33))
    ids[1, 1:] = 0
    ids[2, 20:] = 0
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    (found,) = session.run(None, {"input_ids": ids.numpy()})
    expected = model(ids).detach()
    torch.testing.assert_close(torch.from_numpy(found), expected, atol=0.03, rtol=0.0)
    assert expected.abs().max() > 0.3
    (alone,) = session.run(None, {"input_ids": ids[2:, :20].numpy()})
    torch.testing.assert_close(alone[0], found[2], atol=1e-6, rtol=1e-6)
