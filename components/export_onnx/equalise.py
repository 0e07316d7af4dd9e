"""Bring the columns of an embedding table to one range, and undo that in the layers behind it.

Where a column of the table is divided by s and the weights that read it are multiplied by s, the
network computes the same. With s = sqrt(range of the column / range of its weights) both have
the same range in every column. So each column is rounded with a step of its own size: the
projection gave the first columns several times the range of the last.

Source: cross-layer equalisation, Nagel et al. 2019, arXiv:1906.04721, section 4.1.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from components.export_onnx.embedding_table import tables

# Layers that are linear in their first input: the axis of its columns, and theirs in the weights,
# which are the second input. Conv (batch, columns, length) and (filters, columns, taps); LSTM
# (length, batch, columns) and (directions, gates, columns).
_LINEAR = {"Conv": (1, 1), "LSTM": (2, 2)}


def equalise_table(model: onnx.ModelProto) -> None:
    """Rescale each table that token ids read and the weights behind it, in place.

    Only where just convolutions and LSTMs read the rows, also transposed or masked; other graphs
    stay unchanged.
    """
    graph = model.graph
    weights = {item.name: item for item in graph.initializer}
    for node, table in tables(graph):
        readers = _readers(graph, node.output[0], 2)
        if readers is None or any(name not in weights for name, _ in readers):
            continue
        values = numpy_helper.to_array(table)
        read = [(weights[name], axis) for name, axis in readers]
        ranges = np.max([_ranges(numpy_helper.to_array(item), axis) for item, axis in read], axis=0)
        scales = _scales(_ranges(values, 1), ranges)
        table.CopyFrom(numpy_helper.from_array(values / scales, table.name))
        for item, axis in read:
            stored = numpy_helper.to_array(item)
            shape = [-1 if index == axis else 1 for index in range(stored.ndim)]
            item.CopyFrom(numpy_helper.from_array(stored * scales.reshape(shape), item.name))


def _scales(columns: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The divisor of each column; 1 where it or its weights are all 0."""
    used = (columns > 0) & (weights > 0)
    ratio = np.divide(columns, weights, out=np.ones_like(columns), where=used)
    return np.asarray(np.sqrt(ratio), dtype=np.float32)


def _ranges(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The largest absolute value at each index of an axis."""
    others = tuple(index for index in range(values.ndim) if index != axis)
    return np.asarray(np.abs(values).max(axis=others))


def _readers(graph: onnx.GraphProto, value: str, axis: int) -> list[tuple[str, int]] | None:
    """Names of the weights that read a value, each with the axis of its columns there.

    Args:
        axis: of the value, on which it has the columns.

    Returns None where something else reads it.
    """
    found: list[tuple[str, int]] = []
    for node in graph.node:
        if value not in node.input:
            continue
        if _LINEAR.get(node.op_type, (None,))[0] == axis and node.input[0] == value:
            if _count(graph, node.input[1]) > 1 or _attribute(node, "group", 1) != 1:
                return None
            found.append((node.input[1], _LINEAR[node.op_type][1]))
            continue
        axis_behind = _axis_behind(graph, node, value, axis)
        behind = None if axis_behind is None else _readers(graph, node.output[0], axis_behind)
        if behind is None:
            return None
        found += behind
    return found or None


def _axis_behind(graph: onnx.GraphProto, node: onnx.NodeProto, value: str, axis: int) -> int | None:
    """The axis of the columns behind a node that keeps them separate; None behind any other."""
    if node.op_type == "Transpose":
        order: list[int] = list(_attribute(node, "perm", ()))
        return order.index(axis) if axis in order else None
    if node.op_type == "Mul":
        mask = next((name for name in node.input if name != value), value)
        return axis if _length(graph, mask, axis) == 1 else None
    return None


def _length(graph: onnx.GraphProto, value: str, axis: int) -> int | None:
    """Of a value of three axes; None where it is not known."""
    for known in graph.value_info:
        if known.name == value:
            shape = known.type.tensor_type.shape.dim
            return int(shape[axis].dim_value) if len(shape) == 3 else None
    return None


def _count(graph: onnx.GraphProto, value: str) -> int:
    return sum(list(node.input).count(value) for node in graph.node)


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return onnx.helper.get_attribute_value(attribute)
    return default
