"""Convolutions over token embeddings as sums of table rows: no matrix product is left per text.

A convolution's output at token t is a sum over its taps, each tap a matrix times the embedding of
one token. That product depends on the token's id alone, so it is a table by id: with E (ids, D),
taps W_o (D, F) at offset o and bias b,

    convolution(t) = E[id(t-1)] @ W_-1 + E[id(t)] @ W_0 + E[id(t+1)] @ W_1 + b
                   =      T_-1[id(t-1)] +      T_0[id(t)] +      T_1[id(t+1)]

with T_o = E @ W_o (ids, F), b added to T_0. The graph holds E in int8 and W_o. ONNX Runtime
computes the tables once, when it opens the file, and keeps them in int8 with a scale per filter: so
neither the file nor the model in memory is much larger than that of other forms. Maxima and sums
over tokens are of whole numbers, and are scaled behind.

Padding is a row of E as any other, and has to add nothing to its neighbours: its scale is 0. Its
own sum is made so small that ReLU gives 0, so the mask needs no place behind the convolutions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.export_onnx.embedding_table import as_int8, tables
from components.export_onnx.refused import Refused

_NOTHING = -1e9  # the least of int8, whatever the scale
_LEAST_STEP = 1e-12  # of a filter whose weights are all 0


def fold(model: onnx.ModelProto) -> None:
    """Replace a table's rows and the convolutions that read them by sums of folded rows, in place.

    Raises Refused where the graph is not such: one table, parallel convolutions over its rows with
    a ReLU each, the mask, then maxima and sums over all tokens.
    """
    found = _found(model.graph)
    kept = [node for node in model.graph.node if node not in found.replaced]
    at = kept.index(found.mask) + 1
    stored, nodes = _folded(found)
    del model.graph.node[:]
    model.graph.ClearField("value_info")  # of values that are gone
    model.graph.node.extend([*kept[:at], *nodes])
    for node in kept[at:]:
        model.graph.node.extend(_scaled(node) if node in found.pooling else [node])
    model.graph.initializer.extend(stored)
    read = {name for node in model.graph.node for name in node.input}
    unread = [item for item in model.graph.initializer if item.name not in read]
    for item in unread:
        model.graph.initializer.remove(item)


@dataclass(frozen=True, kw_only=True)
class _Kernel:
    """A convolution: weight (F, D, K), bias (F,), and which tap meets the token itself."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    middle: int


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The part of the graph that is folded.

    Attributes:
        table: E (ids, D).
        rows: name of the value with the ids (B, L) that are read.
        pad_row: of E.
        mask: the node that gives the mask as float32.
        kernels: in the order of their filters.
        pooling: the nodes that read the activations.
        replaced: nodes that the folded ones replace.
    """

    table: NDArray[np.float32]
    rows: str
    pad_row: int
    mask: onnx.NodeProto
    kernels: Sequence[_Kernel]
    pooling: Sequence[onnx.NodeProto]
    replaced: Sequence[onnx.NodeProto]


_ACTIVATIONS, _AXIS, _PADDED = "folded.activations", "folded.axis", "folded.rows"
_EMBEDDING, _STEPS, _ONE, _ZERO = "folded.embedding", "folded.steps", "folded.one", "folded.zero"
_POOLING = ("ReduceMax", "ReduceSum")


def _folded(found: _Found) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """What is stored and computed in the place of the convolutions.

    The activations are whole numbers of steps, `_STEPS` (F,).
    """
    offsets = _offsets(found.kernels)
    codes, scales = as_int8(found.table)
    scales[found.pad_row] = 0
    steps = _steps(found.kernels, codes * scales)
    nothing = np.zeros((len(codes), 1), dtype=np.float32)
    nothing[found.pad_row] = _NOTHING
    arrays: dict[str, NDArray[Any]] = {
        "folded.codes": codes,
        "folded.scales": scales,
        "folded.nothing": nothing,
        "folded.bias": np.concatenate([kernel.bias for kernel in found.kernels]) / steps,
        _STEPS: steps,
        _ONE: np.array(1, dtype=np.float32),
        _ZERO: np.array(0, dtype=np.int8),
        "folded.pads": np.array([0, -offsets[0], 0, offsets[-1]], dtype=np.int64),
        "folded.pad_row": np.array(found.pad_row, dtype=np.int64),
        _AXIS: np.array([1], dtype=np.int64),
    }
    nodes = [
        _node("Cast", ["folded.codes"], "folded.numbers", to=TensorProto.FLOAT),
        _node("Mul", ["folded.numbers", "folded.scales"], _EMBEDDING),
    ]
    if len(offsets) > 1:
        nodes.append(_node("Pad", [found.rows, "folded.pads", "folded.pad_row"], _PADDED))
    for offset in offsets:
        tap, table, small, shifted, read, sums = (
            f"folded.{name}{offset}" for name in ("tap", "table", "small", "at", "read", "of")
        )
        arrays[tap] = _taps(found.kernels, offset) / steps
        nodes.append(_node("MatMul", [_EMBEDDING, tap], table))
        if offset == 0:
            nodes += [
                _node("Add", [table, "folded.bias"], f"{table}.biased"),
                _node("Add", [f"{table}.biased", "folded.nothing"], f"{table}.masked"),
            ]
            table = f"{table}.masked"
        nodes.append(_node("QuantizeLinear", [table, _ONE, _ZERO], small))
        rows = found.rows
        if offset:
            first, end = offset - offsets[0], offset - offsets[-1] or np.iinfo(np.int64).max
            arrays |= {f"{shifted}.first": _one(first), f"{shifted}.end": _one(end)}
            bounds = [f"{shifted}.first", f"{shifted}.end", _AXIS]
            nodes.append(_node("Slice", [_PADDED, *bounds], shifted))
            rows = shifted
        nodes += [
            _node("Gather", [small, rows], read),
            _node("Cast", [read], sums, to=TensorProto.FLOAT),
        ]
    nodes += [
        _node("Sum", [f"folded.of{offset}" for offset in offsets], "folded.sums"),
        _node("Relu", ["folded.sums"], _ACTIVATIONS),
    ]
    stored = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return stored, nodes


def _steps(kernels: Sequence[_Kernel], embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each filter (F,), so that the largest product has a number in int8.

    Behind a text the taps before a token still read it. What these add there has to stay below the
    128 steps that padding's own row takes away, rounded up as they are.
    """
    bias = np.concatenate([kernel.bias for kernel in kernels])
    largest = {}
    for offset in _offsets(kernels):
        products = embedding @ _taps(kernels, offset) + (bias if offset == 0 else 0)
        largest[offset] = np.abs(products).max(axis=0)
    before = [largest[offset] for offset in largest if offset < 0]
    reach = np.max([*largest.values(), sum(before, np.zeros_like(bias))], axis=0)
    return np.asarray(np.maximum(reach / (127 - len(before)), _LEAST_STEP), dtype=np.float32)


def _scaled(pooling: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A maximum or a sum of the activations, back in the convolutions' unit."""
    output = pooling.output[0]
    pooling.input[0], pooling.input[1] = _ACTIVATIONS, _AXIS
    pooling.output[0] = f"{output}.steps"
    return [pooling, _node("Mul", [f"{output}.steps", _STEPS], output)]


def _offsets(kernels: Sequence[_Kernel]) -> range:
    """Of all taps, from the token itself."""
    before = max(kernel.middle for kernel in kernels)
    behind = max(kernel.weight.shape[2] - 1 - kernel.middle for kernel in kernels)
    return range(-before, behind + 1)


def _taps(kernels: Sequence[_Kernel], offset: int) -> NDArray[np.float32]:
    """Of all filters (D, F)."""
    return np.concatenate([_tap(kernel, offset) for kernel in kernels], axis=1)


def _tap(kernel: _Kernel, offset: int) -> NDArray[np.float32]:
    """(D, F); zeros where the kernel does not reach so far."""
    filters, width, taps = kernel.weight.shape
    tap = kernel.middle + offset
    if not 0 <= tap < taps:
        return np.zeros((width, filters), dtype=np.float32)
    return np.ascontiguousarray(kernel.weight[:, :, tap].T)


def _one(number: int) -> NDArray[np.int64]:
    return np.array([number], dtype=np.int64)


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


def _found(graph: onnx.GraphProto) -> _Found:
    """Raises Refused, see `fold`."""
    read = list(tables(graph))
    if len(read) != 1:
        raise Refused("the graph does not read one table by token id")
    (gather, table) = read[0]
    turned = _only_reader(graph, gather, "Transpose")
    masked = _only_reader(graph, turned, "Mul")
    (mask,) = (name for name in masked.input if name != turned.output[0])
    convolutions = _readers(graph, masked)
    activated = [_only_reader(graph, node, "Relu") for node in convolutions]
    joined = activated[0]
    if len(activated) > 1:
        joined = _only_reader(graph, activated[0], "Concat")
        by_output = {
            relu.output[0]: node for relu, node in zip(activated, convolutions, strict=True)
        }
        if set(joined.input) != set(by_output):
            raise Refused("its convolutions are not joined with one another alone")
        convolutions = [by_output[name] for name in joined.input]
    pooled = _only_reader(graph, joined, "Mul")
    pooling = _readers(graph, pooled)
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    if mask not in pooled.input or not all(_over_tokens(node, constants) for node in pooling):
        raise Refused("its convolutions are not masked and pooled over all tokens")
    producers = {node.output[0]: node for node in graph.node}
    return _Found(
        table=numpy_helper.to_array(table),
        rows=gather.input[1],
        pad_row=_pad_row(gather, mask, producers, constants),
        mask=producers[mask],
        kernels=[_kernel(node, constants) for node in convolutions],
        pooling=pooling,
        replaced=[gather, turned, masked, *convolutions, *activated, joined, pooled],
    )


def _readers(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    return [other for other in graph.node if node.output[0] in other.input]


def _only_reader(graph: onnx.GraphProto, node: onnx.NodeProto, kind: str) -> onnx.NodeProto:
    readers = _readers(graph, node)
    if len(readers) != 1 or readers[0].op_type != kind:
        raise Refused("its token embeddings are read by other layers than parallel convolutions")
    return readers[0]


def _kernel(node: onnx.NodeProto, constants: dict[str, NDArray[Any]]) -> _Kernel:
    """Of a convolution that gives as many tokens as it reads."""
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    weight = constants.get(node.input[1]) if node.op_type == "Conv" else None
    pads = list(options.get("pads", (0, 0)))
    plain = options.get("group", 1) == 1 and all(
        options.get(name, [1]) == [1] for name in ("strides", "dilations")
    )
    if weight is None or not plain or sum(pads) != weight.shape[2] - 1:
        raise Refused("its token embeddings are read by other layers than parallel convolutions")
    bias = constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight), np.float32)
    return _Kernel(weight=weight, bias=bias, middle=pads[0])


def _over_tokens(node: onnx.NodeProto, constants: dict[str, NDArray[Any]]) -> bool:
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    axes = constants.get(node.input[1]) if len(node.input) > 1 else None
    over_last = axes is not None and axes.tolist() == [2]
    return node.op_type in _POOLING and over_last and options.get("keepdims", 1) == 0


def _pad_row(
    gather: onnx.NodeProto,
    mask: str,
    producers: dict[str, onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
) -> int:
    """The row of E that padding reads, and nothing else."""
    made = producers.get(mask)
    while made is not None and made.op_type != "Equal":
        made = producers.get(made.input[0])
    pad = None if made is None else next((constants.get(name) for name in made.input[1:]), None)
    if pad is None:
        raise Refused("its mask is not made of the id of padding")
    row = int(pad)
    through = producers.get(gather.input[1])
    while through is not None and through.op_type == "Cast":
        through = producers.get(through.input[0])
    if through is not None:
        rows = constants[through.input[0]]
        row = int(rows[row])
        if int((rows == row).sum()) > 1:
            raise Refused("other tokens read the row of padding")
    return row
