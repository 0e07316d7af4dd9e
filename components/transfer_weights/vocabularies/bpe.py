"""Byte-pair encoding: pairs of pieces are merged, in the order in which the merges were learned.

After Sennrich et al. 2016 (arXiv:1508.07909), on letters or, after GPT-2, on bytes.

Within a piece of the result, the same merges happen as in that piece alone. So if every kept piece
keeps the pieces that lead to it, a text of kept pieces meets the same merges in the same order.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from components.transfer_weights.vocabularies._letters import byte_pieces, letters
from decant.data.pieces import is_byte_level

Ranks = Mapping[tuple[str, str], int]


def is_plain(model: Mapping[str, Any]) -> bool:
    """Whether a merged piece is spelled as its parts are, without a mark of its place."""
    return not (model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"))


def needed(tokenizer: Mapping[str, Any], kept: Iterable[int]) -> set[int]:
    """The letters, all 256 where they are bytes, and the pieces that lead to the kept ones."""
    model = tokenizer["model"]
    ids: dict[str, int] = model["vocab"]
    texts = {index: piece for piece, index in ids.items()}
    kept = [index for index in kept if index in texts]
    if is_byte_level(tokenizer):
        found = {index for piece, index in ids.items() if len(piece) == 1}
    else:
        found = letters(texts, kept)
    ranks = {pair: rank for rank, pair in enumerate(_pairs(model))}
    for index in kept:
        found |= {ids[part] for part in _parts_of(texts[index], ranks)}
    if model.get("unk_token") in ids:
        found.add(ids[model["unk_token"]])
    if model.get("byte_fallback"):
        found |= byte_pieces(ids)
    return found


def pruned(model: Mapping[str, Any], new_id: Mapping[int, int]) -> dict[str, Any]:
    """The pieces in the order of their ids, and the merges from kept pieces into kept pieces."""
    vocabulary = sorted(model["vocab"].items(), key=lambda item: item[1])
    kept = {piece: new_id[index] for piece, index in vocabulary if index in new_id}
    merges = [
        merge
        for merge, (left, right) in zip(model["merges"], _pairs(model), strict=True)
        if left in kept and right in kept and left + right in kept
    ]
    return {**model, "vocab": kept, "merges": merges}


def _pairs(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The merges, which older files write as "LEFT RIGHT"."""
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        yield left, right


def _parts_of(piece: str, ranks: Ranks) -> Iterator[str]:
    """What the piece is merged from, step by step, its letters excluded."""
    parts = list(piece)
    while len(parts) > 1:
        rank, place = min(
            (ranks.get(pair, len(ranks)), place) for place, pair in enumerate(pairwise(parts))
        )
        if rank == len(ranks):
            return  # no merges lead to this piece
        parts[place : place + 2] = ["".join(parts[place : place + 2])]
        yield parts[place]
