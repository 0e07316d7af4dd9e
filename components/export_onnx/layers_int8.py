"""The layers of an ONNX graph in int8, with onnxruntime.quantization.

Weights are symmetric, with a scale per output channel, activations uint8 with a scale per tensor.
The weights use 7 of their 8 bits (`reduce_range`): on x86 without VNNI the products of a full
range overflow, and an accepted graph would give other answers there.
The output layer (Gemm) stays float32: it costs almost nothing and decides between close labels.

Jacob et al. 2018, arXiv:1712.05877, is the scheme; dynamic for recurrent nets and Transformers,
static for convolutions is ONNX Runtime's own advice.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from components.export_onnx.refused import Refused

# Not Conv: its dynamic form takes twice the time of float32 on a processor.
_DYNAMIC = ("LSTM", "MatMul")
_STATIC = ("Conv", "MatMul")
_FOLDED = ("Relu",)  # into the quantised range of the layer before it


def dynamic_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Int8 weights, and activations with a scale per call.

    So a text's logits depend a little on the others in its batch.

    Raises Refused where there is no such layer or the quantiser fails.
    """
    names = _layers(model, _DYNAMIC)
    return _quantised(
        model,
        lambda source, target: quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(_DYNAMIC),
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=True,
        ),
    )


def static_int8(model: onnx.ModelProto, rows: Sequence[NDArray[np.int64]]) -> onnx.ModelProto:
    """Int8 weights and activations, whose scales come from their extremes on some rows.

    Args:
        rows: token ids (1, length) each.

    Raises Refused where there is no such layer or the quantiser fails.
    """
    names = _layers(model, _STATIC)
    names += [node.name for node in model.graph.node if node.op_type in _FOLDED]
    return _quantised(
        model,
        lambda source, target: quantize_static(
            source,
            target,
            _Rows(model.graph.input[0].name, rows),
            op_types_to_quantize=[*_STATIC, *_FOLDED],
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        ),
    )


class _Rows(CalibrationDataReader):
    def __init__(self, name: str, rows: Sequence[NDArray[np.int64]]) -> None:
        self._feeds = iter([{name: row} for row in rows])

    def get_next(self) -> dict[str, NDArray[np.int64]] | None:
        return next(self._feeds, None)


def _layers(model: onnx.ModelProto, kinds: Sequence[str]) -> list[str]:
    names = [node.name for node in model.graph.node if node.op_type in kinds]
    if not names:
        raise Refused(f"the graph has no layer of the kinds {', '.join(kinds)}")
    return names


def _quantised(
    model: onnx.ModelProto, quantise: Callable[[onnx.ModelProto, Path], object]
) -> onnx.ModelProto:
    source = onnx.ModelProto()
    source.CopyFrom(model)
    source.graph.ClearField("value_info")  # shapes that the quantiser changes and does not forget
    add_pre_process_metadata(source)  # without it, it warns that nothing was fused before
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model.onnx"
        try:
            quantise(source, target)
            return onnx.load(target)
        except Exception as error:  # on any exception the graph stays unchanged
            raise Refused(
                f"the quantiser failed with {type(error).__name__}", detail=str(error)
            ) from error
