"""BERT's weights in a Transformer of another width.

Shapes: H BERT's width, W the student's.

BERT's state x (H,) and the student's s (W,) correspond as tokens do (see `ProjectedBert`):
s = (x - offset) @ into and x ≈ s @ back + offset. With that

- a dense layer that reads states, x → M x + b (query, key, value, intermediate), becomes
  s → (M @ backᵀ) s + (b + M @ offset);
- a dense layer whose result is added to states, a → M a + b (attention output, output), becomes
  a → (intoᵀ @ M) a + b @ into;
- an addend p of the embeddings (positions, token type 0) becomes p @ into;
- a LayerNorm with gain g and bias b becomes one with
  gain_j = r * Σ_i into_ij² g_i / Σ_i into_ij² and bias = (b - offset) @ into,
  where r² is the mean over j of Σ_i into_ij²: the best gain per unit for states whose units are
  independent before the gain. A unit j without any into_ij gets the gain 0.

Of attention the first heads are taken, of the intermediate units the first ones. Where the student
has more of them than BERT, the rest read with their random weights, but their outgoing weights are
0: they change nothing at the start and learn from there.

Copies are exact where `into` is the identity up to a scale: W = H and embeddings of one table. For
W > H they are exact except for the LayerNorms, which count the units beyond H too (these are 0): r
makes up for that where a state's mean is 0. For W < H they are a start to train from. "Exact" is
up to the eps that a LayerNorm adds to a state's variance v: the student's is 1e-12, and where the
encoder's is larger (RoBERTa's is 1e-5) its normed states are smaller by the share eps / 2v.
"""

from typing import Any

import torch
from torch import nn

from decant.runtime.errors import UserError
from decant.students._layers import EncoderLayer, reading
from decant.students._projected_bert import ProjectedBert
from decant.students._transformer import Encoder, Layer


def copy_embeddings(encoder: Encoder, bert: ProjectedBert) -> dict[str, bool]:
    """The student's positions, with token type 0 in them, and its first LayerNorm.

    Position i is that of the token i, from 0; some types number their table's rows from
    padding_id + 1 on. Returns the parameters' names and whether all of each was copied: BERT may
    have fewer positions.

    Raises UserError where their width is not that of the layers.
    """
    parts = bert.encoder.get_submodule("embeddings")
    table = parts.get_submodule("position_embeddings")
    assert isinstance(table, nn.Embedding)
    if table.embedding_dim != len(bert.into):
        raise UserError(
            f"the encoder's positions are {table.embedding_dim} wide, its layers {len(bert.into)}: "
            "they cannot be copied together",
            code="transfer-mismatch",
            hint="set students.transformer.copied_layers to none, or take another encoder",
        )
    first = 0 if table.padding_idx is None else table.padding_idx + 1
    rows = table.weight[first : first + encoder.positions.num_embeddings]
    for name in ("token_type_embeddings", "task_type_embeddings"):
        if hasattr(parts, name):
            rows = rows + getattr(parts, name).weight[0]
    encoder.positions.weight[: len(rows)] = rows @ bert.into
    norm = parts.get_submodule("LayerNorm")
    assert isinstance(norm, nn.LayerNorm)
    _copy_norm(encoder.norm, norm, bert)
    all_positions = len(rows) == encoder.positions.num_embeddings
    return {"positions.weight": all_positions, "norm.weight": True, "norm.bias": True}


def copy_layer(target: Layer, source: EncoderLayer, bert: ProjectedBert) -> dict[str, bool]:
    """Returns the parameters' names, each with whether all of it was copied.

    What is read for more heads or units than BERT has was not.

    Raises UserError where the size of heads or the activation is not BERT's.
    """
    config: Any = bert.encoder.config
    heads = int(config.num_attention_heads)
    size = source.query.out_features // heads
    if target.head_size != size:
        raise UserError(
            f"BERT's attention heads have {size} units, the student's {target.head_size}",
            code="transfer-mismatch",
            hint=f"set students.transformer.head_size to {size}, or copied_layers to none",
        )
    activation = getattr(config, "hidden_act", None) or config.activation
    if "gelu" not in activation:
        raise UserError(
            f"BERT's intermediate units are {activation}, the student's gelu",
            code="transfer-mismatch",
            hint="set students.transformer.copied_layers to none, or take another encoder",
        )
    whole = slice(min(target.heads, heads) * size)
    by_role = (3, target.heads * size)
    into_attention = target.attention_in.weight.unflatten(0, by_role)
    biases = target.attention_in.bias.unflatten(0, by_role)
    for role, dense in enumerate((source.query, source.key, source.value)):
        weight, bias = reading(dense, bert)
        into_attention[role, whole] = weight[whole]
        biases[role, whole] = bias[whole]
    _copy_writing(target.attention_out, source.attention_output, bert)
    _copy_norm(target.attention_norm, source.attention_norm, bert)
    weight, bias = reading(source.intermediate, bert)
    units = slice(min(target.intermediate.out_features, len(weight)))
    target.intermediate.weight[units] = weight[units]
    target.intermediate.bias[units] = bias[units]
    _copy_writing(target.output, source.output, bert)
    _copy_norm(target.output_norm, source.output_norm, bert)
    filled_whole = {
        "attention_in": target.heads <= heads,
        "intermediate": target.intermediate.out_features <= len(weight),
    }
    return {
        name: filled_whole.get(name.split(".")[0], True) for name, _ in target.named_parameters()
    }


def _copy_writing(target: nn.Linear, source: nn.Linear, bert: ProjectedBert) -> None:
    """A dense layer whose result is added to the states."""
    count = min(target.in_features, source.in_features)
    target.weight[:] = 0
    target.weight[:, :count] = bert.into.T @ source.weight[:, :count]
    target.bias[:] = source.bias @ bert.into


def _copy_norm(target: nn.LayerNorm, source: nn.LayerNorm, bert: ProjectedBert) -> None:
    shares = bert.into.square()  # (H, W)
    totals = shares.sum(dim=0)
    mean_gain = (source.weight @ shares) / totals.clamp_min(torch.finfo(totals.dtype).tiny)
    target.weight[:] = totals.mean().sqrt() * mean_gain
    target.bias[:] = (source.bias - bert.offset) @ bert.into
