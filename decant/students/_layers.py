"""BERT's layers by name, for every type of encoder, and their weights for a student.

Shapes: H BERT's width, W the student's.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from decant.runtime.errors import UserError
from decant.students._projected_bert import ProjectedBert

# In these types a layer is attention, then two dense layers, each of both followed by the
# LayerNorm of its sum with what went in. Only layers of that form are copied.
_LIKE_BERT = ("bert", "camembert", "data2vec-text", "electra", "ernie", "roberta", "xlm-roberta")
_BERT_NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}
_DISTILBERT_NAMES = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "attention_output": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "intermediate": "ffn.lin1",
    "output": "ffn.lin2",
    "output_norm": "output_layer_norm",
}


@dataclass(frozen=True, kw_only=True)
class EncoderLayer:
    """The modules of one layer, in the order of their work."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    attention_norm: nn.LayerNorm
    intermediate: nn.Linear
    output: nn.Linear
    output_norm: nn.LayerNorm


def encoder_layers(bert: ProjectedBert) -> list[EncoderLayer]:
    """The encoder's layers from the lowest on.

    Raises UserError for a type whose layers are not like BERT's, and where the student's space is
    not that of the layers, as with random embeddings.
    """
    if len(bert.into) == 0:
        raise UserError(
            "BERT's layers cannot read random embeddings: the two have no space in common",
            code="parameter-conflict",
            hint="set transfer_weights.layer_matrix and students.transformer.copied_layers to "
            "none, or take other embeddings",
        )
    kind = str(bert.encoder.config.model_type)  # type: ignore[union-attr]
    if kind in _LIKE_BERT:
        stack, names = "encoder.layer", _BERT_NAMES
    elif kind == "distilbert":
        stack, names = "transformer.layer", _DISTILBERT_NAMES
    else:
        raise UserError(
            f"the layers of an encoder of type '{kind}' cannot be copied: they are not BERT's",
            code="transfer-mismatch",
            hint=f"types that work: {', '.join(sorted((*_LIKE_BERT, 'distilbert')))}",
        )
    hidden = int(bert.encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
    if len(bert.into) != hidden:
        raise UserError(
            f"the encoder's layers are {hidden} wide, but its input embeddings {len(bert.into)}",
            code="transfer-mismatch",
            hint="set transfer_weights.embeddings to contextual; for a transformer, which "
            "also copies positions, students.transformer.copied_layers to none",
        )
    return [
        EncoderLayer(**{name: layer.get_submodule(path) for name, path in names.items()})  # type: ignore[arg-type]
        for layer in bert.encoder.get_submodule(stack).children()
    ]


def layer_matrix(bert: ProjectedBert) -> tuple[Tensor, Tensor] | None:
    """BERT's matrix for a student's input weights: (R, W) and its bias (R,); None without one.

    The matrix M (R, H) with its bias is that of the layer `bert.layer`: `intermediate` the first
    dense layer after attention, R = 4H as a rule; `value` that of attention, R = H.

    Raises UserError for a layer that the encoder does not have.
    """
    if bert.matrix == "none":
        return None
    layers = encoder_layers(bert)
    if bert.layer >= len(layers):
        raise UserError(
            f"transfer_weights.layer is {bert.layer}, but the encoder has {len(layers)} layers",
            code="parameter-value",
            hint=f"give 0 to {len(layers) - 1}",
        )
    layer = layers[bert.layer]
    return reading(layer.intermediate if bert.matrix == "intermediate" else layer.value, bert)


def reading(dense: nn.Linear, bert: ProjectedBert) -> tuple[Tensor, Tensor]:
    """A dense layer of BERT, weight M (R, H) and bias b, as one that reads the student's space.

    (R, W) and (R,): M @ backᵀ and b + M @ offset, so that a row e of the student is mapped to
    M (e @ back + offset) + b.
    """
    return dense.weight @ bert.back.T, dense.bias + dense.weight @ bert.offset
