"""Vocabularies that can lose pieces: a file here per kind of tokenizer model.

Whatever is dropped, a text whose pieces are all kept is split as before. A module has two
functions:

    needed(tokenizer, kept) -> set[int]
        The ids that have to stay beside the kept ones, so that this holds, and so that words of
        dropped pieces fall apart into smaller ones instead of becoming unknown.
    pruned(model, new_id) -> dict
        The model with the kept pieces only, under their new ids.

`tokenizer` is the content of a tokenizer.json, `model` its part of that name.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast

from components.transfer_weights.vocabularies import bpe, unigram, wordpiece

Json = Mapping[str, Any]


class Vocabulary(Protocol):
    """The interface of a module of this folder."""

    def needed(self, tokenizer: Json, kept: Iterable[int]) -> set[int]:
        """Ids that stay beside the kept ones."""
        ...

    def pruned(self, model: Json, new_id: Mapping[int, int]) -> dict[str, Any]:
        """The model with the pieces of `new_id` only."""
        ...


_KINDS = {"WordPiece": wordpiece, "Unigram": unigram, "BPE": bpe}


def vocabulary_kind(tokenizer: Json) -> Vocabulary | None:
    """The module for this tokenizer; None where no piece can be dropped."""
    model = tokenizer["model"]
    if model["type"] == "BPE" and not bpe.is_plain(model):
        return None
    return cast(Vocabulary | None, _KINDS.get(model["type"]))
