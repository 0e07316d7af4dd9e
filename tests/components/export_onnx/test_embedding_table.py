"""Embedding tables in int8 and float16 against codes worked out by hand."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.export_onnx.embedding_table import (
    as_float16,
    as_int8,
    narrow_row_maps,
    quantise_tables,
)
from components.export_onnx.refused import Refused

TABLE = np.array([[127, -63.4, 0], [2.54, -1, 0.31], [0, 0, 0]], dtype=np.float32)
# Scales 127 / 127, 2.54 / 127 and 0.
CODES = np.array([[127, -63, 0], [127, -50, 16], [0, 0, 0]])
RESTORED = np.array([[127, -63, 0], [2.54, -1, 0.32], [0, 0, 0]], dtype=np.float32)
ROW_OF_ID = np.array([1, 0, 0, 2, 1], dtype=np.int64)


def lookup(table: NDArray[np.float32], row_of_id: NDArray[np.int64] | None) -> onnx.ModelProto:
    """ids (batch, length) → rows of the table (batch, length, width), through a map or not."""
    constants = {"table": table}
    nodes = []
    rows = "ids"
    if row_of_id is not None:
        constants["map"] = row_of_id
        nodes.append(helper.make_node("Gather", ["map", "ids"], ["rows"], name="map"))
        rows = "rows"
    nodes.append(helper.make_node("Gather", ["table", rows], ["out"], name="embedding"))
    return model(nodes, constants, ["batch", "length", table.shape[1]])


def model(
    nodes: list[onnx.NodeProto], constants: dict[str, NDArray[np.generic]], shape: list[str | int]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(made)
    return made


def answer(graph: onnx.ModelProto, ids: list[list[int]]) -> NDArray[np.float32]:
    onnx.checker.check_model(graph)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    result: NDArray[np.float32] = session.run(None, {"ids": np.array(ids, dtype=np.int64)})[0]
    return result


def stored(graph: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    return {item.name: numpy_helper.to_array(item) for item in graph.graph.initializer}


def test_codes_and_scales_of_rows() -> None:
    codes, scales = as_int8(TABLE)
    assert codes.dtype == np.int8
    assert np.array_equal(codes, CODES)
    np.testing.assert_allclose(scales, [[1], [0.02], [0]], rtol=1e-6)


def test_no_value_is_off_by_more_than_half_a_scale() -> None:
    table = np.random.default_rng(0).normal(size=(200, 33)).astype(np.float32)
    codes, scales = as_int8(table)
    assert (np.abs(codes * scales - table) <= scales / 2 * 1.0001).all()
    assert (np.abs(codes).max(axis=1) == 127).all()


@pytest.mark.parametrize("row_of_id", [None, ROW_OF_ID])
def test_int8_rows_come_back_as_float32(row_of_id: NDArray[np.int64] | None) -> None:
    graph = lookup(TABLE, row_of_id)
    quantise_tables(graph, "int8")
    ids = [[0, 1, 2], [2, 2, 1]]
    rows = np.array(ids) if row_of_id is None else row_of_id[np.array(ids)]
    np.testing.assert_allclose(answer(graph, ids), RESTORED[rows], rtol=1e-6)
    kept = stored(graph)
    assert "table" not in kept
    assert {str(kept[name].dtype) for name in ("table.int8", "table.scale")} == {"int8", "float32"}


@pytest.mark.parametrize("row_of_id", [None, ROW_OF_ID])
def test_float16_rows_come_back_as_float32(row_of_id: NDArray[np.int64] | None) -> None:
    graph = lookup(TABLE, row_of_id)
    quantise_tables(graph, "float16")
    rows = np.array([0, 2, 1]) if row_of_id is None else row_of_id[[0, 2, 1]]
    # float16 has steps of 2**-5 from 32 on, of 2**-9 from 2 on, and of 2**-12 from 0.25 on.
    halves = np.array(
        [[127, -63.40625, 0], [2.5390625, -1, 0.31005859375], [0, 0, 0]], dtype=np.float32
    )
    assert np.array_equal(answer(graph, [[0, 2, 1]])[0], halves[rows])
    assert stored(graph)["table.float16"].dtype == np.float16


def test_a_map_of_few_rows_takes_two_bytes_an_id() -> None:
    graph = lookup(TABLE, ROW_OF_ID)
    narrow_row_maps(graph)
    assert stored(graph)["map"].dtype == np.uint16
    assert np.array_equal(answer(graph, [[0, 3, 4]])[0], TABLE[[1, 2, 1]])
    quantise_tables(graph, "int8")  # the table is found behind the narrow map too
    np.testing.assert_allclose(answer(graph, [[0, 3, 4]])[0], RESTORED[[1, 2, 1]], rtol=1e-6)


def test_a_map_of_many_rows_takes_four_bytes_an_id() -> None:
    table = np.arange(70_000, dtype=np.float32).reshape(-1, 1)
    graph = lookup(table, np.array([69_999, 65_535, 0]))
    narrow_row_maps(graph)
    assert stored(graph)["map"].dtype == np.int32
    assert answer(graph, [[0, 1, 2]]).ravel().tolist() == [69_999, 65_535, 0]


def test_a_graph_without_a_map_stays_as_it_is() -> None:
    graph = lookup(TABLE, None)
    before = graph.SerializeToString(deterministic=True)
    narrow_row_maps(graph)
    assert graph.SerializeToString(deterministic=True) == before


def test_a_table_that_something_else_reads_stays() -> None:
    graph = model(
        [
            helper.make_node("Gather", ["table", "ids"], ["picked"]),
            helper.make_node("Transpose", ["table"], ["turned"]),
            helper.make_node("MatMul", ["picked", "turned"], ["out"]),
        ],
        {"table": TABLE},
        ["batch", "length", 3],
    )
    with pytest.raises(Refused, match="no table"):
        quantise_tables(graph, "int8")
    assert np.array_equal(stored(graph)["table"], TABLE)


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(Refused, match="7e\\+04, beyond float16"):
        as_float16(np.array([[1, -70_000]], dtype=np.float32))
    for bad in (np.nan, np.inf):
        for convert in (as_int8, as_float16):
            with pytest.raises(Refused, match="not finite"):
                convert(np.array([[1, bad]], dtype=np.float32))
