"""Equalised columns: ranges by hand, and a graph that answers as before."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.export_onnx.embedding_table import as_int8, tables
from components.export_onnx.equalise import equalise_table

TABLE = np.array([[16, 0.5, 0], [-4, -1, 0]], dtype=np.float32)  # ranges 16, 1, 0
KERNEL = np.array([[[0.5], [4], [1]], [[-1], [-2], [3]]], dtype=np.float32)  # ranges 1, 4, 3


def masked_convolution(last: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
    """ids (batch, length) → rows, transposed, masked, convolved; or what `last` makes of them."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Cast", ["ids"], ["given"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["given", "one"], ["mask"]),
        helper.make_node("Mul", ["turned", "mask"], ["masked"]),
        *(last or [helper.make_node("Conv", ["masked", "kernel"], ["out"])]),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "table": TABLE,
        "kernel": KERNEL,
        "one": np.array([1], dtype=np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "masked",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = helper.make_opsetid("", 20)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return onnx.shape_inference.infer_shapes(made)


def weights(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    return {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}


def test_both_sides_get_the_geometric_mean_of_their_ranges() -> None:
    model = masked_convolution()
    equalise_table(model)
    found = weights(model)
    # Scales sqrt(16 / 1), sqrt(1 / 4), and 1 for a column of zeros.
    assert found["table"].tolist() == [[4, 1, 0], [-1, -2, 0]]
    assert found["kernel"][:, :, 0].tolist() == [[2, 2, 1], [-4, -1, 3]]


def test_the_product_is_what_it_was() -> None:
    model = masked_convolution()
    equalise_table(model)
    found = weights(model)
    before, after = TABLE @ KERNEL[:, :, 0].T, found["table"] @ found["kernel"][:, :, 0].T
    assert before.tolist() == after.tolist()


def test_int8_of_unequal_columns_is_closer() -> None:
    draw = np.random.default_rng(0)
    spread = np.array([40, 1, 1, 1], dtype=np.float32)
    table = draw.normal(size=(300, 4)).astype(np.float32) * spread
    kernel = draw.normal(size=(5, 4, 1)).astype(np.float32)
    model = masked_convolution()
    for item in model.graph.initializer:
        value = {"table": table, "kernel": kernel}.get(item.name)
        if value is not None:
            item.CopyFrom(numpy_helper.from_array(value, item.name))
    errors = []
    for _ in range(2):
        now = weights(model)
        codes, scales = as_int8(now["table"])
        rounded = (codes * scales) @ now["kernel"][:, :, 0].T
        errors.append(np.abs(rounded - table @ kernel[:, :, 0].T).mean())
        equalise_table(model)
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize(
    "last",
    [
        [helper.make_node("Tanh", ["masked"], ["out"])],
        [
            helper.make_node("Conv", ["masked", "kernel"], ["convolved"]),
            helper.make_node("ReduceMax", ["rows"], ["top"], keepdims=0),
            helper.make_node("Add", ["convolved", "top"], ["out"]),
        ],
        [
            helper.make_node("Conv", ["masked", "kernel"], ["convolved"]),
            helper.make_node("ReduceMax", ["kernel"], ["top"], keepdims=0),
            helper.make_node("Add", ["convolved", "top"], ["out"]),
        ],
    ],
    ids=["no linear layer", "another reader of the rows", "another reader of the weights"],
)
def test_other_graphs_stay_as_they_are(last: list[onnx.NodeProto]) -> None:
    model = masked_convolution(last)
    assert len(list(tables(model.graph))) == 1
    before = model.SerializeToString(deterministic=True)
    equalise_table(model)
    assert model.SerializeToString(deterministic=True) == before


def test_an_lstm_answers_as_before() -> None:
    units, draw = 3, np.random.default_rng(1)
    lstm = helper.make_node(
        "LSTM", ["steps", "w", "r", "b"], ["out"], hidden_size=units, direction="bidirectional"
    )
    steps = helper.make_node("Transpose", ["masked"], ["steps"], perm=[2, 0, 1])
    model = masked_convolution([steps, lstm])
    shapes = {"w": (2, 4 * units, 3), "r": (2, 4 * units, units), "b": (2, 8 * units)}
    for name, shape in shapes.items():
        value = draw.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    ids = np.array([[0, 1, 1], [1, 0, 0]])

    def answer() -> NDArray[np.float32]:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        result: NDArray[np.float32] = session.run(None, {"ids": ids})[0]
        return result

    before = answer()
    equalise_table(model)
    assert not np.array_equal(weights(model)["table"], TABLE)
    np.testing.assert_allclose(answer(), before, atol=1e-6)
