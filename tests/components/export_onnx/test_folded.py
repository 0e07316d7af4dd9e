"""Folded convolutions: sums by hand, and graphs that answer as before."""

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.export_onnx.folded import fold
from components.export_onnx.refused import Refused

PAD = 0
WIDTHS = (1, 2, 3, 4)
# In quarters of whole numbers with 127 among them, so that the embeddings in int8 are exact.
ROWS = 9
random = np.random.default_rng(13)
TABLE = random.integers(-126, 127, (ROWS, 5)).astype(np.float32) / 4
TABLE[:, 0] = 127 / 4


def graph_of(
    *,
    table: NDArray[np.float32] = TABLE,
    widths: tuple[int, ...] = WIDTHS,
    row_map: list[int] | None = None,
    bias: bool = True,
    change: Callable[[list[onnx.NodeProto], dict[str, Any]], None] | None = None,
) -> onnx.ModelProto:
    """As torch exports masked parallel convolutions with maxima and means."""
    dice = np.random.default_rng(14)
    constants: dict[str, Any] = {
        "table": table,
        "pad": np.array(PAD, dtype=np.int64),
        "one": np.array([1], dtype=np.int64),
        "last": np.array([2], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Equal", ["input_ids", "pad"], ["is_pad"]),
        helper.make_node("Not", ["is_pad"], ["given"]),
    ]
    rows = "input_ids"
    if row_map is not None:
        constants["map"] = np.array(row_map, dtype=np.uint16)
        nodes += [
            helper.make_node("Gather", ["map", "input_ids"], ["narrow"]),
            helper.make_node("Cast", ["narrow"], ["wide"], to=TensorProto.INT64),
        ]
        rows = "wide"
    nodes += [
        helper.make_node("Gather", ["table", rows], ["states"]),
        helper.make_node("Unsqueeze", ["given", "one"], ["column"]),
        helper.make_node("Cast", ["column"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["states"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Mul", ["turned", "mask"], ["masked"]),
    ]
    for width in widths:
        constants[f"weight{width}"] = dice.normal(size=(3, table.shape[1], width)).astype("f4")
        constants[f"bias{width}"] = dice.normal(size=3).astype("f4")
        before = (width - 1) // 2
        inputs = ["masked", f"weight{width}", *([f"bias{width}"] if bias else [])]
        pads = [before, width - 1 - before]
        nodes += [
            helper.make_node("Conv", inputs, [f"conv{width}"], pads=pads),
            helper.make_node("Relu", [f"conv{width}"], [f"relu{width}"]),
        ]
    joined = f"relu{widths[0]}"
    if len(widths) > 1:
        joined = "joined"
        nodes.append(
            helper.make_node("Concat", [f"relu{width}" for width in widths], [joined], axis=1)
        )
    nodes += [
        helper.make_node("Mul", [joined, "mask"], ["active"]),
        helper.make_node("ReduceMax", ["active", "last"], ["maxima"], keepdims=0),
        helper.make_node("ReduceSum", ["active", "last"], ["sums"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "last"], ["count"], keepdims=0),
        helper.make_node("Div", ["sums", "count"], ["means"]),
        helper.make_node("Concat", ["maxima", "means"], ["logits"], axis=1),
    ]
    if change:
        change(nodes, constants)
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "values"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def answers(model: onnx.ModelProto, ids: list[list[int]]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: NDArray[np.float32] = session.run(None, {"input_ids": np.array(ids, dtype=np.int64)})[0]
    return found


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    fold(copy)
    onnx.checker.check_model(copy, full_check=True)
    return copy


def opened(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """As ONNX Runtime has it in memory."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "opened.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return onnx.load(folder / "opened.onnx")


def check(
    model: onnx.ModelProto,
    ids: list[list[int]],
    widths: tuple[int, ...] = WIDTHS,
    pad_row: int = PAD,
) -> None:
    """The folded graph answers as the graph, but for half a step of int8 for each tap."""
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    table = constants["table"].copy()
    table[pad_row] = 0
    before = max((width - 1) // 2 for width in widths)
    bounds = []
    for width in widths:
        bias = constants.get(f"bias{width}", np.zeros(3, dtype=np.float32))
        products = np.einsum("id,fdk->kif", table, constants[f"weight{width}"])
        products[(width - 1) // 2] += bias
        largest = np.abs(products).max(axis=1)  # (taps, filters)
        reach = np.maximum(largest.max(axis=0), largest[: (width - 1) // 2].sum(axis=0))
        bounds.append(width * reach / (127 - before) / 2)
    bound = np.tile(np.concatenate(bounds), 2) + 2e-5
    assert (np.abs(answers(folded(model), ids) - answers(model, ids)) <= bound).all()


def kinds(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


TEXTS = [
    [[3]],
    [[1, 2]],
    [[4, 5, 6, 7, 8, 1, 1, 2, 3]],
    [[5, 3, 8, 2], [1, PAD, PAD, PAD], [7, 7, PAD, PAD]],
]


@pytest.mark.parametrize("widths", [(1,), (3,), (2, 1), WIDTHS])
@pytest.mark.parametrize("ids", TEXTS)
def test_it_answers_as_the_convolutions(widths: tuple[int, ...], ids: list[list[int]]) -> None:
    model = graph_of(widths=widths)
    small = folded(model)
    assert "Conv" in kinds(model)
    assert not kinds(small) & {"Conv", "Transpose"}
    check(model, ids, widths)


def test_sums_by_hand() -> None:
    """One kernel of two taps over the tokens 1, 2: max and mean of its two sums."""
    table = np.array([[127, 127], [127, 2], [4, 127]], dtype=np.float32)  # padding's row is full

    def weights(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
        constants["weight2"] = np.array([[[1, 0], [0, 1]]], dtype=np.float32)  # (1, 2, 2)
        constants["bias2"] = np.array([-10], dtype=np.float32)

    small = folded(graph_of(table=table, widths=(2,), change=weights))
    # The largest product is 127, so that a step is 1 and all of these are whole steps.
    # token 1: 127 - 10 and 127 of its neighbour; token 2: 4 - 10, and nothing behind
    assert answers(small, [[1, 2]]).tolist() == [[244, 122]]
    assert answers(small, [[1, 2, PAD, PAD]]).tolist() == [[244, 122]]
    assert answers(small, [[1, PAD, PAD], [1, 2, PAD]]).tolist() == [[117, 117], [244, 122]]


def test_padding_outweighs_all_taps_that_reach_back() -> None:
    """Four taps that all have the largest product: behind a text three of them still read it."""
    table = np.full((2, 1), 10, dtype=np.float32)

    def weights(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
        constants["weight4"] = np.ones((1, 1, 4), dtype=np.float32)
        constants["bias4"] = np.zeros(1, dtype=np.float32)
        for node in nodes:
            if node.op_type == "Conv":
                node.attribute[0].ints[:] = [3, 0]

    model = graph_of(table=table, widths=(4,), change=weights)
    ids = [[1] * 4 + [PAD] * 5]
    # 10, 20, 30 and 40, then nothing
    assert answers(model, ids).tolist() == [[40, 25]]
    np.testing.assert_allclose(answers(folded(model), ids), [[40, 25]], rtol=0.02)


def test_the_tables_are_in_int8_when_the_file_is_open(tmp_path: Path) -> None:
    """A model of the default's size takes 16 MB so, and 65 in float32."""
    in_memory = opened(folded(graph_of()), tmp_path).graph
    held = {item.name: item for item in in_memory.initializer}
    whole = [item for item in held.values() if list(item.dims) == [ROWS, 3 * len(WIDTHS)]]
    assert [item.data_type for item in whole] == [TensorProto.INT8] * 4  # a table for each tap
    assert not {"folded.codes", "folded.embedding"} & set(held)
    assert "MatMul" not in {
        node.op_type for node in in_memory.node if "folded.embedding" in node.input
    }


_OPENING = """
import sys, psutil
from pathlib import Path
from decant.inference.classifier import open_session
def held(): return psutil.Process().memory_full_info().uss
open_session(Path(sys.argv[1]) / "small.onnx", 1, "cpu")
before = held()
session = open_session(Path(sys.argv[1]) / "large.onnx", 1, "cpu")
print(held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked for its memory")
def test_what_opening_took_is_given_back(tmp_path: Path) -> None:
    """Four tables of 200,000 x 12 numbers, in float32 for a moment."""
    (tmp_path / "small.onnx").write_bytes(folded(graph_of()).SerializeToString())
    large = np.random.default_rng(1).normal(size=(200_000, 5)).astype(np.float32)
    (tmp_path / "large.onnx").write_bytes(folded(graph_of(table=large)).SerializeToString())
    words = [sys.executable, "-c", _OPENING, str(tmp_path)]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    tables = len(large) * 3 * len(WIDTHS) * 4
    assert tables <= int(ended.stdout) < 1.5 * tables, "bytes of int8; in float32 it is four times"


def test_long_texts_are_pooled_whole() -> None:
    ids = [[1] * 3000 + [4] + [2] * 2999]
    check(graph_of(), ids)


def test_a_text_has_the_same_answer_in_every_batch() -> None:
    small = folded(graph_of())
    (alone,) = answers(small, [[5, 3, 8]])
    beside = answers(small, [[5, 3, 8, PAD, PAD, PAD], [1, 2, 3, 4, 5, 6]])[0]
    np.testing.assert_allclose(beside, alone, rtol=1e-6)


def test_rows_through_a_map() -> None:
    model = graph_of(row_map=[4, 1, 1, 8, 0, 2])  # padding reads row 4
    ids = [[1, 2, 3, 4, 5], [5, 4, PAD, PAD, PAD]]
    check(model, ids, pad_row=4)


def test_kernels_without_bias() -> None:
    check(graph_of(bias=False), TEXTS[3])


def test_only_embeddings_are_stored_in_int8_and_nothing_is_left_over() -> None:
    small = folded(graph_of())
    stored = {item.name: item for item in small.graph.initializer}
    assert stored["folded.codes"].data_type == TensorProto.INT8
    assert list(stored["folded.codes"].dims) == list(TABLE.shape)
    assert {"table", *(f"weight{width}" for width in WIDTHS)}.isdisjoint(stored)
    assert set(stored) <= {name for node in small.graph.node for name in node.input}


def read_per_token(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
    """In the place of ReLU and pooling: each kernel's values (B, L, F), summed over real tokens."""
    del nodes[next(i for i, node in enumerate(nodes) if node.op_type == "Relu") :]
    widths = [node.output[0].removeprefix("conv") for node in nodes if node.op_type == "Conv"]
    constants["tokens"] = np.array([1], dtype=np.int64)
    for width in widths:
        nodes += [
            helper.make_node("Transpose", [f"conv{width}"], [f"read{width}"], perm=[0, 2, 1]),
            helper.make_node("Mul", [f"read{width}", "rows"], [f"kept{width}"]),
            helper.make_node("ReduceSum", [f"kept{width}", "tokens"], [f"sum{width}"], keepdims=0),
        ]
    rows = helper.make_node("Transpose", ["mask"], ["rows"], perm=[0, 2, 1])
    nodes.insert(next(i for i, node in enumerate(nodes) if node.op_type == "Conv"), rows)
    sums = [f"sum{width}" for width in reversed(widths)]
    nodes.append(helper.make_node("Concat", sums, ["logits"], axis=1))


@pytest.mark.parametrize("ids", TEXTS)
def test_values_that_are_read_token_by_token(ids: list[list[int]]) -> None:
    """Of kernels next to one another, in an order of the reader's own; padding adds nothing."""

    def two_kernels(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
        at = [i for i, node in enumerate(nodes) if node.op_type == "Relu"]
        for index in reversed(at[:-1]):
            del nodes[index]
        read_per_token(nodes, constants)

    model = graph_of(widths=(2, 3), change=two_kernels)
    small = folded(model)
    assert "Conv" in kinds(model)
    assert "Conv" not in kinds(small)
    expected = answers(model, ids)
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    products = [np.einsum("id,fdk->kif", TABLE, constants[f"weight{width}"]) for width in (2, 3)]
    largest = max(np.abs(one).max() for one in products) + 3  # and a bias
    bound = 3 / 2 * largest / 126 * len(ids[0])  # half a step for each tap of each token
    np.testing.assert_allclose(answers(small, ids), expected, rtol=0, atol=bound)
    assert np.abs(expected).max() > 10 * bound
    alone = answers(small, [[one for one in ids[-1] if one != PAD]])
    np.testing.assert_allclose(answers(small, ids)[-1:], alone, rtol=1e-5, atol=1e-4)


def test_values_by_token_by_hand() -> None:
    """One kernel of two taps over the tokens 1, 2: the sum of its values, ReLU or not."""
    table = np.array([[127, 127], [127, 2], [4, 127]], dtype=np.float32)  # padding's row is full

    def weights(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
        constants["weight2"] = np.array([[[1, 0], [0, -1]]], dtype=np.float32)  # (1, 2, 2)
        constants["bias2"] = np.array([-10], dtype=np.float32)
        read_per_token(nodes, constants)

    small = folded(graph_of(table=table, widths=(2,), change=weights))
    # token 1: 127 - 10, and -127 of its neighbour; token 2: 4 - 10, and nothing behind
    assert answers(small, [[1, 2]]).tolist() == [[-16]]
    assert answers(small, [[1, 2, PAD, PAD]]).tolist() == [[-16]]


def second_layer(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
    """Something else reads the embeddings."""
    nodes.insert(-1, helper.make_node("ReduceMax", ["states", "one"], ["other"], keepdims=0))


def no_mask(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
    constants["ones"] = np.ones((1, 1, 1), dtype=np.float32)
    nodes[next(i for i, node in enumerate(nodes) if node.output[0] == "active")].input[1] = "ones"


def strides(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
    node = next(node for node in nodes if node.op_type == "Conv")
    node.attribute.append(helper.make_attribute("dilations", [2]))


def unpadded(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
    node = next(node for node in nodes if node.output[0] == "conv3")
    node.attribute[0].ints[:] = [0, 0]


def over_filters(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
    next(node for node in nodes if node.op_type == "ReduceMax").input[1] = "one"


def no_activation(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> None:
    next(node for node in nodes if node.op_type == "Relu").op_type = "Sigmoid"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (second_layer, "read by other layers"),
        (strides, "read by other layers"),
        (unpadded, "read by other layers"),
        (no_activation, "read by other layers"),
        (no_mask, "not masked and pooled"),
        (over_filters, "not masked and pooled"),
    ],
)
def test_other_graphs_are_refused(
    change: Callable[[list[onnx.NodeProto], dict[str, Any]], None], why: str
) -> None:
    model = graph_of(change=change)
    before = model.SerializeToString()
    with pytest.raises(Refused, match=why):
        fold(model)
    assert model.SerializeToString() == before


def test_a_row_that_padding_shares_with_a_token_is_refused() -> None:
    with pytest.raises(Refused, match="other tokens read the row of padding"):
        fold(graph_of(row_map=[4, 1, 4, 8]))
