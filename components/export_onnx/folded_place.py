"""The part of a graph that is folded: convolutions over token embeddings, and what reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from components.export_onnx.embedding_table import tables
from components.export_onnx.refused import Refused

_POOLING = ("ReduceMax", "ReduceSum")
_OTHER_READERS = "its token embeddings are read by other layers than parallel convolutions"


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A convolution: weight (F, D, K), bias (F,), and which tap meets the token itself."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    middle: int


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """The convolutions have a ReLU each, and these nodes pool them, masked, over all tokens."""

    by: Sequence[onnx.NodeProto]


@dataclass(frozen=True, kw_only=True)
class PerToken:
    """The values of the convolutions, (B, L, F) each, are read token by token under these names."""

    values: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Place:
    """The part of the graph that is folded.

    Attributes:
        table: E (ids, D).
        rows: name of the value with the ids (B, L) that are read.
        pad_row: of E.
        mask: the node that gives the mask as float32.
        kernels: in the order of their filters.
        readers: of the convolutions.
        replaced: nodes that the folded ones replace.
    """

    table: NDArray[np.float32]
    rows: str
    pad_row: int
    mask: onnx.NodeProto
    kernels: Sequence[Kernel]
    readers: Pooled | PerToken
    replaced: Sequence[onnx.NodeProto]


def find(graph: onnx.GraphProto) -> Place:
    """Raises Refused where the graph is not such.

    One table, parallel convolutions over its masked rows, and behind them either a ReLU each, the
    mask, then maxima and sums over all tokens, or what reads their values token by token.
    """
    read = list(tables(graph))
    if len(read) != 1:
        raise Refused("the graph does not read one table by token id")
    (gather, table) = read[0]
    turned = _only_reader(graph, gather, "Transpose")
    masked = _only_reader(graph, turned, "Mul")
    (mask,) = (name for name in masked.input if name != turned.output[0])
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    convolutions: Sequence[onnx.NodeProto] = _readers(graph, masked)
    behind = _per_token(graph, convolutions)
    if behind:
        readers: Pooled | PerToken = PerToken(values=[node.output[0] for node in behind])
    else:
        convolutions, readers, behind = _pooled(graph, convolutions, mask, constants)
    producers = {node.output[0]: node for node in graph.node}
    return Place(
        table=numpy_helper.to_array(table),
        rows=gather.input[1],
        pad_row=_pad_row(gather, mask, producers, constants),
        mask=producers[mask],
        kernels=[_kernel(node, constants) for node in convolutions],
        readers=readers,
        replaced=[gather, turned, masked, *convolutions, *behind],
    )


def _per_token(
    graph: onnx.GraphProto, convolutions: Sequence[onnx.NodeProto]
) -> list[onnx.NodeProto]:
    """Of each convolution the node that turns its values (B, F, L) into (B, L, F); [] without."""
    readers = [_readers(graph, convolution) for convolution in convolutions]
    turned = [nodes[0] for nodes in readers if len(nodes) == 1 and _turns(nodes[0])]
    return turned if len(turned) == len(convolutions) else []


def _turns(node: onnx.NodeProto) -> bool:
    is_transpose = node.op_type == "Transpose"
    return is_transpose and helper.get_node_attr_value(node, "perm") == [0, 2, 1]


def _pooled(
    graph: onnx.GraphProto,
    convolutions: Sequence[onnx.NodeProto],
    mask: str,
    constants: dict[str, NDArray[Any]],
) -> tuple[Sequence[onnx.NodeProto], Pooled, list[onnx.NodeProto]]:
    """The convolutions in the order of their filters, who pools them, and the nodes between."""
    activated = [_only_reader(graph, node, "Relu") for node in convolutions]
    joined = activated[0]
    between = [*activated]
    if len(activated) > 1:
        joined = _only_reader(graph, activated[0], "Concat")
        between.append(joined)
        by_output = {
            relu.output[0]: node for relu, node in zip(activated, convolutions, strict=True)
        }
        if set(joined.input) != set(by_output):
            raise Refused("its convolutions are not joined with one another alone")
        convolutions = [by_output[name] for name in joined.input]
    masked = _only_reader(graph, joined, "Mul")
    pooling = _readers(graph, masked)
    if mask not in masked.input or not all(_over_tokens(node, constants) for node in pooling):
        raise Refused("its convolutions are not masked and pooled over all tokens")
    return convolutions, Pooled(by=pooling), [*between, masked]


def _readers(graph: onnx.GraphProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    return [other for other in graph.node if node.output[0] in other.input]


def _only_reader(graph: onnx.GraphProto, node: onnx.NodeProto, kind: str) -> onnx.NodeProto:
    readers = _readers(graph, node)
    if len(readers) != 1 or readers[0].op_type != kind:
        raise Refused(_OTHER_READERS)
    return readers[0]


def _kernel(node: onnx.NodeProto, constants: dict[str, NDArray[Any]]) -> Kernel:
    """Of a convolution that gives as many tokens as it reads."""
    options = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    weight = constants.get(node.input[1]) if node.op_type == "Conv" else None
    pads = list(options.get("pads", (0, 0)))
    plain = options.get("group", 1) == 1 and all(
        options.get(name, [1]) == [1] for name in ("strides", "dilations")
    )
    if weight is None or not plain or sum(pads) != weight.shape[2] - 1:
        raise Refused(_OTHER_READERS)
    bias = constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight), np.float32)
    return Kernel(weight=weight, bias=bias, middle=pads[0])


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
