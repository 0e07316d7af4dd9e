"""The numbers in an encoder's config.json, before a library builds a model of them.

It would build a billion layers one by one, and each type of model fails in its own way on a text
in place of a number.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decant.runtime.errors import UserError

# As BERT, DistilBERT, ALBERT, MobileBERT and their kin name them.
_LAYERS = (
    "num_hidden_layers",
    "n_layers",
    "num_hidden_groups",
    "inner_group_num",
    "num_feedforward_networks",
)
_SIZES = (
    "hidden_size",
    "dim",
    "embedding_size",
    "input_embedding_size",
    "intermediate_size",
    "hidden_dim",
    "num_attention_heads",
    "n_heads",
    "vocab_size",
    "max_position_embeddings",
)
_LABELS = ("num_labels",)  # each gets a name, though a head is left out
# Far above the largest encoders: 48 layers, a million pieces.
_MOST_LAYERS, _MOST_LABELS, _MOST = 1000, 100_000, 10_000_000


def check_values(config: Mapping[str, Any], file: Path) -> None:
    """Raises UserError for a count that is not a number of that many things."""
    kinds = ((_LAYERS, 0, _MOST_LAYERS), (_LABELS, 0, _MOST_LABELS), (_SIZES, 1, _MOST))
    for names, least, most in kinds:
        for name in names:
            _check(config, name, least, most, file)
    _check(config, "pad_token_id", 0, _MOST, file)


def _check(config: Mapping[str, Any], name: str, least: int, most: int, file: Path) -> None:
    value = config.get(name)
    if value is None or (type(value) is int and least <= value <= most):
        return
    shown = repr(value)[:60]
    raise UserError(
        f"{name} in {file} is {shown}, which is not a whole number from {least} to {most:,}",
        code="file-invalid",
        hint="give the config.json that was saved with the weights",
    )
