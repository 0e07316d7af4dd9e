"""Unigram: of all ways to split a word, the one with the largest sum of scores.

After Kudo 2018 (arXiv:1804.10959). The best way stays the best when pieces
that it does not use are dropped.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from components.transfer_weights.vocabularies._letters import byte_pieces, letters
from decant.data.pieces import piece_ids


def needed(tokenizer: Mapping[str, Any], kept: Iterable[int]) -> set[int]:
    """The letters, the unknown piece, and the piece with the smallest score.

    An unknown character scores 10 less than that piece (`K_UNK_PENALTY` in tokenizers): without it
    unknown characters would become cheaper.
    """
    model = tokenizer["model"]
    vocabulary = model["vocab"]
    found = letters({index: piece for index, (piece, _) in enumerate(vocabulary)}, kept)
    found.add(min(range(len(vocabulary)), key=lambda index: vocabulary[index][1]))
    if model.get("unk_id") is not None:
        found.add(model["unk_id"])
    if model.get("byte_fallback"):
        found |= byte_pieces(piece_ids(tokenizer))
    return found


def pruned(model: Mapping[str, Any], new_id: Mapping[int, int]) -> dict[str, Any]:
    """The pieces with their scores, in their order."""
    kept = [entry for index, entry in enumerate(model["vocab"]) if index in new_id]
    unknown = model.get("unk_id")
    return {**model, "unk_id": None if unknown is None else new_id[unknown], "vocab": kept}
