"""Which of the encoder's token ids the student keeps, and the tokenizer with only these."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """Which pieces are kept.

    Attributes:
        min_count: smallest count of a piece in labelled and transfer text; 0 keeps all.
        max_size: largest number of pieces, the most frequent ones; None: no limit.
        special_ids: always kept: the ids of all tokens that the tokenizer takes whole.
    """

    min_count: int
    max_size: int | None
    special_ids: Sequence[int]


def kept_ids(
    vocabulary: pd.DataFrame, pruning: Pruning, *, continuing: str | None
) -> NDArray[np.int64]:
    """Sorted ids of the encoder that stay.

    Of a WordPiece tokenizer, whose pieces within a word begin with `continuing`, also every piece
    of one character that occurs in a kept piece or is ASCII, so that a word of an unseen piece
    falls apart into smaller ones and is not unknown as a whole.
    """
    total = _total(vocabulary).to_numpy()
    ids = vocabulary["token_id"].to_numpy(dtype=np.int64)
    keep = total >= pruning.min_count
    special = np.isin(ids, np.asarray(pruning.special_ids))
    if pruning.max_size is not None and keep.sum() > pruning.max_size:
        # the most frequent; of equals the smaller id
        order = np.lexsort((ids, -total))
        keep[order[pruning.max_size :]] = False
    keep |= special
    if continuing is not None and not keep.all():
        pieces = vocabulary["piece"].astype(str).str.removeprefix(continuing)
        known = set("".join(pieces[keep & ~special]))
        single = pieces.str.len() == 1
        keep |= (single & pieces.map(lambda piece: piece.isascii() or piece in known)).to_numpy()
    return np.sort(ids[keep])


def continuing_prefix(tokenizer: Path) -> str | None:
    """The prefix of a WordPiece tokenizer's pieces within a word (`##`); None for other kinds."""
    model = _read(tokenizer)["model"]
    return str(model["continuing_subword_prefix"]) if model["type"] == "WordPiece" else None


def added_ids(tokenizer: Path) -> list[int]:
    """Ids of the tokens taken whole, such as [CLS] or <url>, also those outside the model."""
    return [int(token["id"]) for token in _read(tokenizer)["added_tokens"]]


def pruned_tokenizer(tokenizer: Path, kept: NDArray[np.int64]) -> str | None:
    """tokenizer.json of a WordPiece tokenizer with the kept pieces only, new ids from 0.

    The pieces keep their order. None for a tokenizer of another kind, which cannot lose pieces and
    still split the rest as before: merges build on each other.

    Args:
        kept: sorted, `added_ids` among them.
    """
    if continuing_prefix(tokenizer) is None:
        return None
    content = _read(tokenizer)
    new_id = {int(old): new for new, old in enumerate(kept)}
    vocabulary = sorted(content["model"]["vocab"].items(), key=lambda item: item[1])
    content["model"]["vocab"] = {
        piece: new_id[index] for piece, index in vocabulary if index in new_id
    }
    for token in content["added_tokens"]:
        token["id"] = new_id[token["id"]]
    _renumber(content.get("post_processor"), new_id)
    if content.get("padding"):
        content["padding"]["pad_id"] = new_id[content["padding"]["pad_id"]]
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def occurrences(vocabulary: pd.DataFrame, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each id occurs in labelled and transfer text, in the order of the ids."""
    totals = np.zeros(int(vocabulary["token_id"].max()) + 1, dtype=np.int64)
    totals[vocabulary["token_id"]] = _total(vocabulary)
    return totals[ids]


def _read(tokenizer: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(tokenizer.read_text("utf-8"))
    return content


def _renumber(processor: Any, new_id: Mapping[int, int]) -> None:
    """Put the new ids into a post-processor: of templates, of BERT's pair, or of several."""
    if processor is None:
        return
    for one in processor.get("processors", []):
        _renumber(one, new_id)
    for token in (processor.get("special_tokens") or {}).values():
        token["ids"] = [new_id[index] for index in token["ids"]]
    for key in ("sep", "cls"):
        if key in processor:
            processor[key][1] = new_id[processor[key][1]]


def _total(vocabulary: pd.DataFrame) -> "pd.Series[int]":
    return vocabulary["count_train"] + vocabulary["count_unlabelled"]
