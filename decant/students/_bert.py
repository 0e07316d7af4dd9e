"""What `transfer` gets: BERT's layers, and how its space and the student's meet."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

LayerMatrix = Literal["none", "intermediate", "value"]


@dataclass(frozen=True, kw_only=True)
class Bert:
    """BERT as seen from the student.

    H is BERT's width, W the student's. A token's vector t (H,) in BERT became the student's row
    e (W,) = (t - offset) @ into, up to the weighting of tokens, and t ≈ e @ back + offset: exactly
    where nothing was lost, that is for W >= H.

    Where the student's rows are made of two tables (`embeddings: both`), t is that of the input
    table, and `into` and `back` are its blocks of the whole map from 2H columns to W. Then e is
    (t - offset) @ into plus what the other table adds, and t is exactly e @ back + offset from
    W >= 2H on. Where the student's rows are random, H is 0: nothing leads from BERT's layers to
    the student.

    Attributes:
        encoder: pretrained or fine-tuned.
        into: (H, W), the projection with its scale.
        back: (W, H), its pseudo-inverse, or its block of the whole map's pseudo-inverse.
        offset: (H,), the mean that was taken away; zeros where none was.
        matrix: which matrix of a layer goes into a convolution's or an RNN's input weights.
        layer: whose layer, from 0.
    """

    encoder: nn.Module
    into: Tensor
    back: Tensor
    offset: Tensor
    matrix: LayerMatrix
    layer: int
