"""The input of `transfer`: BERT's layers, and the projection from its space to the student's."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # the parameters name LayerMatrix where torch is not needed
    from torch import Tensor, nn

LayerMatrix = Literal["none", "intermediate", "value"]


@dataclass(frozen=True, kw_only=True)
class ProjectedBert:
    """BERT's layers with the projection into the student's space.

    H is BERT's width, W the student's. A token's vector t (H,) in BERT became the student's row
    e (W,) = (t - offset) @ into, up to the weighting of tokens, and t ≈ e @ back + offset: exact
    for W >= H, where nothing is lost.

    Where the student's rows are made of two tables (`embeddings: both`), t is that of the input
    table, and `into` and `back` are its blocks of the whole map from 2H columns to W. Then e is
    (t - offset) @ into plus what the other table adds, and t is exactly e @ back + offset from
    W >= 2H on. Where the student's rows are random, H is 0: there is no projection.

    Attributes:
        encoder: pretrained or fine-tuned.
        into: (H, W), the projection with its scale.
        back: (W, H), its pseudo-inverse, or its block of the whole map's pseudo-inverse.
        offset: (H,), the mean that was subtracted; zeros where none was.
        matrix: which matrix of a layer goes into a convolution's or an RNN's input weights.
        layer: number of that layer, from 0.
    """

    encoder: "nn.Module"
    into: "Tensor"
    back: "Tensor"
    offset: "Tensor"
    matrix: LayerMatrix
    layer: int
