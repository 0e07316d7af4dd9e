"""The forms in which a graph can be exported: float32, or smaller ones made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from components.export_onnx.embedding_table import TableFormat, quantise_tables
from components.export_onnx.equalise import equalise_table
from components.export_onnx.folded import fold
from components.export_onnx.graph import serialised
from components.export_onnx.layers_int8 import dynamic_int8, static_int8

FLOAT32 = "float32"


@dataclass(frozen=True, kw_only=True)
class _Form:
    """None: stays float32."""

    embeddings: TableFormat | None
    layers: Literal["dynamic", "static", "folded"] | None


_FORMS: Mapping[str, _Form] = {
    "float16_embeddings": _Form(embeddings="float16", layers=None),
    "int8_embeddings": _Form(embeddings="int8", layers=None),
    "dynamic_int8_layers": _Form(embeddings=None, layers="dynamic"),
    "static_int8_layers": _Form(embeddings=None, layers="static"),
    "dynamic_int8": _Form(embeddings="int8", layers="dynamic"),
    "static_int8": _Form(embeddings="int8", layers="static"),
    "folded_int8": _Form(embeddings=None, layers="folded"),
}


def quantised(form: str, float32: bytes, calibration: Sequence[NDArray[np.int64]]) -> bytes:
    """The graph in another form, the same bytes for the same graph and rows.

    Args:
        float32: the graph as exported.
        calibration: token ids (1, length) each, for the scales of static activations.

    Raises Refused where this graph cannot have the form.
    """
    how = _FORMS[form]
    model = onnx.load_from_string(float32)
    if "int8" in form:
        equalise_table(model)
    if how.embeddings:
        quantise_tables(model, how.embeddings)
    if how.layers == "dynamic":
        model = dynamic_int8(model)
    elif how.layers == "static":
        model = static_int8(model, calibration)
    elif how.layers == "folded":
        fold(model)
    return serialised(model)
