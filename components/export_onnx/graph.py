"""A torch module as an ONNX graph: input_ids (batch, length) → logits (batch, classes)."""

import logging
import warnings
from functools import cache
from pathlib import Path

import onnx
import torch
from torch import nn

from components.export_onnx.embedding_table import narrow_row_maps


def export_graph(model: nn.Module, file: Path, *, pad_id: int, opset: int) -> None:
    """Write one self-contained file with dynamic batch and length.

    The exporter's notes (stack traces with the paths of this machine) are removed, so that the
    same weights give the same bytes on every machine.
    """
    _keep_operator_table()
    example = torch.full((2, 9), pad_id, dtype=torch.int64)
    example[0, :9] = example[1, :5] = pad_id + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            model.eval(),
            (example,),
            input_names=["input_ids"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch"), 1: torch.export.Dim("length")},),
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    narrow_row_maps(graph)
    onnx.checker.check_model(graph)
    file.write_bytes(serialised(graph))


def serialised(model: onnx.ModelProto) -> bytes:
    """The same bytes for the same graph: without notes, which name paths and change with them."""
    _strip(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@cache
def _keep_operator_table() -> None:
    """Let torch build its table of ONNX operators once per process, not anew for each export.

    The table is the same each time, and building it takes half of a student's export. The name is
    private to torch: without it every export is right, and slower.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        table = cache(ONNXRegistry.from_torchlib)
    except (ImportError, AttributeError):
        return
    setattr(ONNXRegistry, "from_torchlib", staticmethod(table))  # noqa: B010


def _strip(model: onnx.ModelProto) -> None:
    model.ClearField("metadata_props")
    model.doc_string = ""
    for graph in (model.graph, *model.functions):
        graph.ClearField("metadata_props")
        for part in (*graph.node, *graph.value_info):
            part.ClearField("metadata_props")
            part.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
