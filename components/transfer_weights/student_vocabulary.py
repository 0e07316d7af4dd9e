"""Which of the encoder's token ids the student keeps, and the tokenizer with only these."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.transfer_weights.vocabularies import vocabulary_kind


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
    vocabulary: pd.DataFrame, pruning: Pruning, tokenizer: Mapping[str, Any]
) -> NDArray[np.int64]:
    """Sorted ids of the encoder that stay.

    Beside the most frequent pieces also those that the tokenizer's model needs: see `vocabularies`.

    Args:
        tokenizer: the content of its tokenizer.json.
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
    kind = vocabulary_kind(tokenizer)
    if kind is not None and not keep.all():
        further = kind.needed(tokenizer, ids[keep & ~special].tolist())
        keep |= np.isin(ids, list(further))
    return np.sort(ids[keep])


def added_ids(tokenizer: Mapping[str, Any]) -> list[int]:
    """Ids of the tokens taken whole, such as [CLS] or <url>, also those outside the model."""
    return [int(token["id"]) for token in tokenizer["added_tokens"]]


def pruned_tokenizer(tokenizer: Mapping[str, Any], kept: NDArray[np.int64]) -> str | None:
    """tokenizer.json with the kept pieces only, new ids from 0 in the old order.

    None for a tokenizer whose kind of model cannot lose pieces.

    Args:
        tokenizer: the content of its tokenizer.json.
        kept: from `kept_ids`, `added_ids` among them.
    """
    kind = vocabulary_kind(tokenizer)
    if kind is None:
        return None
    new_id = {int(old): new for new, old in enumerate(kept)}
    content = {**tokenizer, "model": kind.pruned(tokenizer["model"], new_id)}
    content["added_tokens"] = [
        {**token, "id": new_id[token["id"]]} for token in tokenizer["added_tokens"]
    ]
    content["post_processor"] = copy.deepcopy(tokenizer.get("post_processor"))
    _renumber(content["post_processor"], new_id)
    if padding := tokenizer.get("padding"):
        content["padding"] = {**padding, "pad_id": new_id[padding["pad_id"]]}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def occurrences(vocabulary: pd.DataFrame, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each id occurs in labelled and transfer text, in the order of the ids."""
    totals = np.zeros(int(vocabulary["token_id"].max()) + 1, dtype=np.int64)
    totals[vocabulary["token_id"]] = _total(vocabulary)
    return totals[ids]


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
