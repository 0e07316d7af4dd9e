"""Layers in int8: which operators come out, and their arithmetic worked out by hand."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from components.export_onnx.graph import export_graph, serialised
from components.export_onnx.layers_int8 import dynamic_int8, static_int8
from components.export_onnx.refused import Refused

WIDTH = 4


class Convolution(nn.Module):
    """Embedding, convolution, maximum, output layer: the operators of a CNN student."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(20, WIDTH)
        self.convolution = nn.Conv1d(WIDTH, 6, 1)
        self.output = nn.Linear(6, 2)

    def forward(self, ids: Tensor) -> Tensor:
        keep = (ids != 0).unsqueeze(1).float()
        maps = torch.relu(self.convolution(self.table(ids).transpose(1, 2) * keep))
        logits: Tensor = self.output((maps * keep).amax(dim=2))
        return logits


@pytest.fixture(scope="module")
def convolution(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    file = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_graph(Convolution(), file, pad_id=0, opset=20)
    return onnx.load(file)


@pytest.fixture(scope="module")
def rows() -> list[NDArray[np.int64]]:
    draw = np.random.default_rng(0)
    return [draw.integers(1, 20, size=(1, length)) for length in draw.integers(1, 9, size=40)]


def looked_up(nodes: list[onnx.NodeProto], weights: dict[str, NDArray[np.float32]]) -> bytes:
    """ids (batch, length) → out, where nodes start from `states` (batch, length, WIDTH)."""
    table = np.random.default_rng(1).normal(size=(20, WIDTH)).astype(np.float32)
    constants = {"table": table, **weights}
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["states"], name="embedding"), *nodes],
        "layers",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = helper.make_opsetid("", 20)
    content: bytes = helper.make_model(
        graph, opset_imports=[opset], ir_version=10
    ).SerializeToString()
    return content


def answer(model: onnx.ModelProto, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(serialised(model), providers=["CPUExecutionProvider"])
    result: NDArray[np.float32] = session.run(None, {model.graph.input[0].name: ids})[0]
    return result


def kinds(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def test_static_int8_of_a_convolution(
    convolution: onnx.ModelProto, rows: list[NDArray[np.int64]]
) -> None:
    before = convolution.SerializeToString(deterministic=True)
    small = static_int8(convolution, rows)
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds(small)
    assert convolution.SerializeToString(deterministic=True) == before
    weights = {item.name: numpy_helper.to_array(item) for item in small.graph.initializer}
    codes = weights["convolution.weight_quantized"]
    scales = weights["convolution.weight_scale"]
    exact = Convolution().convolution.weight.detach().numpy()
    # 7 bits, a scale per filter: its largest weight becomes 64 or -64.
    assert codes.dtype == np.int8
    assert np.abs(codes).max(axis=(1, 2)).tolist() == [64] * 6
    np.testing.assert_allclose(scales, np.abs(exact).max(axis=(1, 2)) / 64, rtol=1e-6)
    assert np.array_equal(weights["output.weight"], Convolution().output.weight.detach().numpy())
    exact_logits = np.concatenate([answer(convolution, row) for row in rows])
    logits = np.concatenate([answer(small, row) for row in rows])
    assert 0 < np.abs(logits - exact_logits).max() < 0.05 * np.ptp(exact_logits)


def test_static_int8_gives_a_text_the_same_logits_in_every_batch(
    convolution: onnx.ModelProto, rows: list[NDArray[np.int64]]
) -> None:
    small = static_int8(convolution, rows)
    texts = np.array([[5, 6, 7, 0, 0], [1, 2, 3, 4, 5]])
    together = answer(small, texts)
    assert np.array_equal(together[:1], answer(small, texts[:1, :3]))


def test_dynamic_int8_of_a_product_by_hand() -> None:
    weight = np.random.default_rng(2).normal(size=(WIDTH, 3)).astype(np.float32)
    product = helper.make_node("MatMul", ["states", "weight"], ["out"], name="product")
    model = onnx.load_from_string(looked_up([product], {"weight": weight}))
    small = dynamic_int8(model)
    assert "MatMulInteger" in kinds(small)
    ids = np.array([[1, 5, 9]])
    states = numpy_helper.to_array(model.graph.initializer[0])[ids]
    # The call's own range, 0 included, in 256 steps; weights in 129 steps per column.
    low, high = min(0.0, states.min()), max(0.0, states.max())
    scale = (high - low) / 255
    zero = np.clip(np.rint(-low / scale), 0, 255)
    codes = np.clip(np.rint(states / scale) + zero, 0, 255)
    scales = np.abs(weight).max(axis=0) / 64
    expected = (codes - zero) @ np.rint(weight / scales) * scale * scales
    np.testing.assert_allclose(answer(small, ids), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected - states @ weight).max() > 1e-4


def test_dynamic_int8_of_an_lstm() -> None:
    units, draw = 8, np.random.default_rng(3)
    weights = {
        "w": draw.normal(size=(2, 4 * units, WIDTH)).astype(np.float32),
        "r": draw.normal(size=(2, 4 * units, units)).astype(np.float32) / 4,
        "b": draw.normal(size=(2, 8 * units)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["states"], ["steps"], perm=[1, 0, 2], name="turn"),
        helper.make_node(
            "LSTM",
            ["steps", "w", "r", "b"],
            ["", "out"],
            name="lstm",
            hidden_size=units,
            direction="bidirectional",
        ),
    ]
    model = onnx.load_from_string(looked_up(nodes, weights))
    small = dynamic_int8(model)
    assert "DynamicQuantizeLSTM" in kinds(small)
    assert len(serialised(small)) < len(serialised(model))
    ids = np.array([[1, 5, 9, 2], [3, 3, 4, 8]])
    np.testing.assert_allclose(answer(small, ids), answer(model, ids), atol=0.1)


def test_a_graph_without_such_layers_is_refused(
    convolution: onnx.ModelProto, rows: list[NDArray[np.int64]]
) -> None:
    with pytest.raises(Refused, match="no layer of the kinds LSTM, MatMul"):
        dynamic_int8(convolution)
    empty = onnx.load_from_string(
        looked_up([helper.make_node("ReduceSum", ["states"], ["out"], name="sum")], {})
    )
    with pytest.raises(Refused, match="no layer of the kinds Conv, MatMul"):
        static_int8(empty, rows)


def test_a_quantiser_that_fails_is_a_refusal(convolution: onnx.ModelProto) -> None:
    with pytest.raises(Refused, match="the quantiser failed with ValueError") as caught:
        static_int8(convolution, [])  # nothing to take the scales from
    assert caught.value.detail
