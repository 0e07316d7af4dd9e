"""Smaller embedding tables in an ONNX graph: int8 with a scale per row, or float16.

Only the rows that a text needs become float32 again, so a call costs no more with a larger table.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.export_onnx.refused import Refused

TableFormat = Literal["float16", "int8"]
_INT8_MAX = 127


def quantise_tables(model: onnx.ModelProto, to: TableFormat) -> None:
    """Store every table that token ids read as float16 or int8, in place.

    float16   Gather(table, rows), Cast to float32
    int8      Gather(codes, rows), Cast to float32, times Gather(scales, rows)

    Raises Refused where the graph has no such table, or its values do not fit.
    """
    found = list(tables(model.graph))
    if not found:
        raise Refused("the graph reads no table of float32 by token id")
    for node, table in found:
        values = numpy_helper.to_array(table)
        model.graph.initializer.remove(table)
        stored, nodes = _AS[to](table.name, values, rows=node.input[1], output=node.output[0])
        model.graph.initializer.extend(stored)
        _replace(model.graph, node, nodes)


def tables(graph: onnx.GraphProto) -> Iterator[tuple[onnx.NodeProto, onnx.TensorProto]]:
    """Every Gather by token id, directly or through a map, of a table without other readers."""
    candidates = {
        item.name: item
        for item in graph.initializer
        if item.data_type == TensorProto.FLOAT and len(item.dims) == 2
    }
    ids = _token_ids(graph)
    for node in list(graph.node):
        if node.op_type == "Gather" and node.input[0] in candidates and node.input[1] in ids:
            name = node.input[0]
            if sum(name in other.input for other in graph.node) == 1 and _axis(node) == 0:
                yield node, candidates[name]


def as_int8(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes (rows, width) and scales (rows, 1) with codes * scales ≈ table.

    Symmetric per row: scale = max |row| / 127, so that a value is off by half a scale at most. A
    row of zeros has the scale 0.

    Raises Refused for a value that is not finite.
    """
    _demand_finite(table)
    scales = np.abs(table).max(axis=1, keepdims=True) / np.float32(_INT8_MAX)
    codes = np.rint(table / np.where(scales > 0, scales, 1))
    return np.clip(codes, -_INT8_MAX, _INT8_MAX).astype(np.int8), scales.astype(np.float32)


def as_float16(table: NDArray[np.float32]) -> NDArray[np.float16]:
    """The table rounded to float16. Raises Refused for a value beyond its range."""
    _demand_finite(table)
    with np.errstate(over="ignore"):
        rounded = table.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise Refused(f"the table holds {np.abs(table).max():.3g}, beyond float16's 65504")
    return rounded


def narrow_row_maps(model: onnx.ModelProto) -> None:
    """Store maps from token ids to rows in fewer bytes than int64, in place. Exact.

    uint16 where it is enough, else int32; the rows of a text are cast back to int64.
    """
    graph = model.graph
    ids = graph.input[0].name
    maps = {item.name: item for item in graph.initializer if _is_map(item)}
    for node in list(graph.node):
        if node.op_type != "Gather" or node.input[0] not in maps or node.input[1] != ids:
            continue
        rows = numpy_helper.to_array(maps[node.input[0]])
        kind = np.uint16 if rows.max() <= np.iinfo(np.uint16).max else np.int32
        maps[node.input[0]].CopyFrom(numpy_helper.from_array(rows.astype(kind), node.input[0]))
        narrow = f"{node.output[0]}.narrow"
        nodes = [
            helper.make_node("Gather", list(node.input), [narrow]),
            helper.make_node("Cast", [narrow], [node.output[0]], to=TensorProto.INT64),
        ]
        _replace(graph, node, nodes)


def _int8_table(
    name: str, values: NDArray[np.float32], *, rows: str, output: str
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    codes, scales = as_int8(values)
    codes_name, scales_name = f"{name}.int8", f"{name}.scale"
    code, scale, number = f"{output}.int8", f"{output}.scale", f"{output}.code"
    return [
        numpy_helper.from_array(codes, codes_name),
        numpy_helper.from_array(scales, scales_name),
    ], [
        helper.make_node("Gather", [codes_name, rows], [code]),
        helper.make_node("Gather", [scales_name, rows], [scale]),
        helper.make_node("Cast", [code], [number], to=TensorProto.FLOAT),
        helper.make_node("Mul", [number, scale], [output]),
    ]


def _float16_table(
    name: str, values: NDArray[np.float32], *, rows: str, output: str
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    half = f"{name}.float16"
    return [numpy_helper.from_array(as_float16(values), half)], [
        helper.make_node("Gather", [half, rows], [f"{output}.float16"]),
        helper.make_node("Cast", [f"{output}.float16"], [output], to=TensorProto.FLOAT),
    ]


_AS = {"int8": _int8_table, "float16": _float16_table}


def _token_ids(graph: onnx.GraphProto) -> set[str]:
    """Names of the values that are token ids, or rows made from them by a map."""
    maps = {item.name for item in graph.initializer if _is_map(item)}
    ids = {graph.input[0].name}
    for node in graph.node:
        is_mapped = node.op_type == "Gather" and node.input[0] in maps
        if (is_mapped and node.input[1] in ids) or (
            node.op_type == "Cast" and node.input[0] in ids
        ):
            ids.add(node.output[0])
    return ids


def _is_map(item: onnx.TensorProto) -> bool:
    kinds = (TensorProto.INT64, TensorProto.INT32, TensorProto.UINT16)
    return item.data_type in kinds and len(item.dims) == 1


def _axis(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)


def _replace(graph: onnx.GraphProto, old: onnx.NodeProto, new: list[onnx.NodeProto]) -> None:
    """Put nodes in the place of one, so that the order stays topological."""
    nodes = list(graph.node)
    at = nodes.index(old)
    for node in new:
        node.name = node.output[0]
    del graph.node[:]
    graph.node.extend([*nodes[:at], *new, *nodes[at + 1 :]])


def _demand_finite(table: NDArray[np.float32]) -> None:
    if not np.isfinite(table).all():
        raise Refused("the table holds a value that is not finite")
