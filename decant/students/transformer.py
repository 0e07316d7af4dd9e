"""A small Transformer whose layers are copies of BERT's."""

from typing import Literal

from torch import Tensor, nn

from decant.models.part_options import Pooling
from decant.models.pooling import pool, pooled_size
from decant.runtime.errors import UserError
from decant.students._copying import copy_embeddings, copy_layer
from decant.students._layers import encoder_layers
from decant.students._projected_bert import ProjectedBert
from decant.students._transformer import Encoder, Layer
from decant.students.options.transformer import Config


class Transformer(nn.Module):
    """states (B, L, W), mask (B, L) → (B, W), or (B, 2W) where two poolings are."""

    def __init__(self, config: Config, width: int, positions: int) -> None:
        super().__init__()
        self.encoder = Encoder(
            width,
            layers=config.layers,
            heads=config.heads,
            head_size=config.head_size,
            intermediate=config.intermediate,
            positions=positions,
            dropout=config.dropout,
        )
        self.copied_layers = config.copied_layers
        self.pooling: Pooling = config.pooling
        self.output_size = pooled_size(width, config.pooling)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        return pool(self.encoder(states, mask), mask, self.pooling)


def build(config: Config, *, width: int, max_length_tokens: int) -> Transformer:
    return Transformer(config, width, max_length_tokens)


def transfer(body: Transformer, bert: ProjectedBert) -> dict[str, bool]:
    """BERT's positions, its first LayerNorm and the chosen layers, as `_copying` describes.

    With `copied_layers` none all of them keep their random weights.

    Raises UserError for layers that the encoder does not have or that cannot be copied, for
    positions of another width, and for a layer matrix: whole layers include theirs.
    """
    if bert.matrix != "none":
        raise UserError(
            f"a transformer copies whole layers and cannot use BERT's {bert.matrix} matrix",
            code="parameter-conflict",
            hint="set transfer_weights.layer_matrix to none",
        )
    if body.copied_layers == "none":
        return {}
    layers = encoder_layers(bert)
    sources = chosen(body.copied_layers, len(body.encoder.layers), len(layers))
    whole = copy_embeddings(body.encoder, bert)
    for index, source in enumerate(sources):
        layer = body.encoder.layers[index]
        assert isinstance(layer, Layer)
        of_layer = copy_layer(layer, layers[source], bert)
        whole |= {f"layers.{index}.{name}": of_layer[name] for name in of_layer}
    return {f"encoder.{name}": whole[name] for name in whole}


def chosen(
    wanted: Literal["even", "first"] | tuple[int, ...], layers: int, of: int
) -> tuple[int, ...]:
    """Which of BERT's layers become the student's, lowest first, from 0.

    even: from the first to the last at equal distances, rounded, of two as near the even one; a
    single one is the first. Six of twelve are 0, 2, 4, 7, 9, 11, as DistilBERT took them (Sanh et
    al. 2019, in its code). first: the lowest.

    Raises UserError when the encoder has fewer.
    """
    needed = layers if isinstance(wanted, str) else max(wanted) + 1
    if needed > of:
        raise UserError(
            f"{needed} layers of the encoder are requested, but it has {of}",
            code="parameter-value",
            hint="lower students.transformer.layers or the numbers in copied_layers",
        )
    if wanted == "first":
        return tuple(range(layers))
    if wanted == "even":
        return tuple(round(index * (of - 1) / max(layers - 1, 1)) for index in range(layers))
    return wanted
