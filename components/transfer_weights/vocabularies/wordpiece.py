"""WordPiece: a word is split into the longest known pieces, from its beginning on.

A dropped piece is no candidate any more; a longer or a kept one is found as before.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from components.transfer_weights.vocabularies._letters import letters


def needed(tokenizer: Mapping[str, Any], kept: Iterable[int]) -> set[int]:
    """The letters: a word with a character that has no piece would be unknown as a whole."""
    model = tokenizer["model"]
    prefix = model["continuing_subword_prefix"]
    return letters(
        {index: piece.removeprefix(prefix) for piece, index in model["vocab"].items()}, kept
    )


def pruned(model: Mapping[str, Any], new_id: Mapping[int, int]) -> dict[str, Any]:
    """The pieces in the order of their ids."""
    vocabulary = sorted(model["vocab"].items(), key=lambda item: item[1])
    kept = {piece: new_id[index] for piece, index in vocabulary if index in new_id}
    return {**model, "vocab": kept}
