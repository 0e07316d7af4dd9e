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

Padding is a row of E as any other, and has to add nothing to its neighbours: its scale is 0. Where
ReLU and pooling follow, its own sum is made so small that ReLU gives 0, so the mask needs no place
behind the convolutions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from components.export_onnx.embedding_table import as_int8
from components.export_onnx.folded_place import Kernel, PerToken, Place, Pooled, find

_NOTHING = -1e9  # the least of int8, whatever the scale
_LEAST_STEP = 1e-12  # of a filter whose weights are all 0


def fold(model: onnx.ModelProto) -> None:
    """Replace a table's rows and the convolutions that read them by sums of folded rows, in place.

    Raises Refused where the graph is not such, see `find`.
    """
    found = find(model.graph)
    kept = [node for node in model.graph.node if node not in found.replaced]
    at = kept.index(found.mask) + 1
    stored, nodes = _folded(found)
    pooling = found.readers.by if isinstance(found.readers, Pooled) else ()
    del model.graph.node[:]
    model.graph.ClearField("value_info")  # of values that are gone
    model.graph.node.extend([*kept[:at], *nodes])
    for node in kept[at:]:
        model.graph.node.extend(_scaled(node) if node in pooling else [node])
    model.graph.initializer.extend(stored)
    read = {name for node in model.graph.node for name in node.input}
    unread = [item for item in model.graph.initializer if item.name not in read]
    for item in unread:
        model.graph.initializer.remove(item)


_ACTIVATIONS, _AXIS, _PADDED = "folded.activations", "folded.axis", "folded.rows"
_EMBEDDING, _STEPS, _ONE, _ZERO = "folded.embedding", "folded.steps", "folded.one", "folded.zero"


def _folded(found: Place) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """What is stored and computed in the place of the convolutions.

    The sums are whole numbers of steps, `_STEPS` (F,).
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
        constants, of_tap = _tap_nodes(found, offset, offsets)
        arrays |= {f"folded.tap{offset}": _taps(found.kernels, offset) / steps} | constants
        nodes += of_tap
    nodes.append(_node("Sum", [f"folded.of{offset}" for offset in offsets], "folded.sums"))
    if isinstance(found.readers, PerToken):
        arrays["folded.filters"] = np.array([len(kernel.bias) for kernel in found.kernels])
        nodes += _per_token(found.readers.values)
    else:
        nodes.append(_node("Relu", ["folded.sums"], _ACTIVATIONS))
    stored = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return stored, nodes


def _tap_nodes(
    found: Place, offset: int, offsets: range
) -> tuple[dict[str, NDArray[np.int64]], list[onnx.NodeProto]]:
    """The table of one tap, and its rows for the tokens that lie `offset` from each token."""
    tap, table, small, shifted, read, sums = (
        f"folded.{name}{offset}" for name in ("tap", "table", "small", "at", "read", "of")
    )
    constants: dict[str, NDArray[np.int64]] = {}
    nodes = [_node("MatMul", [_EMBEDDING, tap], table)]
    if offset == 0:
        nodes.append(_node("Add", [table, "folded.bias"], f"{table}.biased"))
        table = f"{table}.biased"
        if isinstance(found.readers, Pooled):
            nodes.append(_node("Add", [table, "folded.nothing"], f"{table}.masked"))
            table = f"{table}.masked"
    nodes.append(_node("QuantizeLinear", [table, _ONE, _ZERO], small))
    rows = found.rows
    if offset:
        first, end = offset - offsets[0], offset - offsets[-1] or np.iinfo(np.int64).max
        constants = {f"{shifted}.first": _one(first), f"{shifted}.end": _one(end)}
        bounds = [f"{shifted}.first", f"{shifted}.end", _AXIS]
        nodes.append(_node("Slice", [_PADDED, *bounds], shifted))
        rows = shifted
    nodes += [
        _node("Gather", [small, rows], read),
        _node("Cast", [read], sums, to=TensorProto.FLOAT),
    ]
    return constants, nodes


def _steps(kernels: Sequence[Kernel], embedding: NDArray[np.float32]) -> NDArray[np.float32]:
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


def _per_token(values: Sequence[str]) -> list[onnx.NodeProto]:
    """The sums in the convolutions' unit, each kernel's filters under a name of their own."""
    split = helper.make_node(
        "Split", ["folded.values", "folded.filters"], list(values), name="folded.split", axis=2
    )
    return [_node("Mul", ["folded.sums", _STEPS], "folded.values"), split]


def _scaled(pooling: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A maximum or a sum of the activations, back in the convolutions' unit."""
    output = pooling.output[0]
    pooling.input[0], pooling.input[1] = _ACTIVATIONS, _AXIS
    pooling.output[0] = f"{output}.steps"
    return [pooling, _node("Mul", [f"{output}.steps", _STEPS], output)]


def _offsets(kernels: Sequence[Kernel]) -> range:
    """Of all taps, from the token itself."""
    before = max(kernel.middle for kernel in kernels)
    behind = max(kernel.weight.shape[2] - 1 - kernel.middle for kernel in kernels)
    return range(-before, behind + 1)


def _taps(kernels: Sequence[Kernel], offset: int) -> NDArray[np.float32]:
    """Of all filters (D, F)."""
    return np.concatenate([_tap(kernel, offset) for kernel in kernels], axis=1)


def _tap(kernel: Kernel, offset: int) -> NDArray[np.float32]:
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
