"""Pruned vocabularies: what stays, and that texts of kept pieces are split as before."""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from components.transfer_weights.student_vocabulary import (
    Pruning,
    added_ids,
    kept_ids,
    pruned_tokenizer,
)
from tests.encoder_kinds import KINDS, TEXTS, gemma_tokenizer, tokenizer_of

ALL = [*KINDS, "gemma"]


@cache
def full(kind: str) -> Tokenizer:
    return gemma_tokenizer() if kind == "gemma" else tokenizer_of(kind)


@cache
def content(kind: str) -> dict[str, Any]:
    return dict(json.loads(full(kind).to_str()))


def table(pieces: Iterable[str], counts: Iterable[int]) -> pd.DataFrame:
    listed = list(pieces)
    return pd.DataFrame(
        {
            "token_id": range(len(listed)),
            "piece": listed,
            "count_train": list(counts),
            "count_unlabelled": [0] * len(listed),
        }
    )


def without(kind: str, dropped: Iterable[int]) -> tuple[np.ndarray, Tokenizer]:
    """The kept ids when these do not occur, and the pruned tokenizer."""
    size = 1 + max(full(kind).get_vocab().values())
    gone = set(dropped)
    vocabulary = table(
        [full(kind).id_to_token(index) for index in range(size)],
        [int(index not in gone) for index in range(size)],
    )
    pruning = Pruning(min_count=1, max_size=None, special_ids=added_ids(content(kind)))
    kept = kept_ids(vocabulary, pruning, content(kind))
    small = pruned_tokenizer(content(kind), kept)
    assert small is not None
    return kept, Tokenizer.from_str(small)


@pytest.mark.parametrize("kind", ALL)
@given(data=st.data())
def test_a_text_whose_pieces_are_all_kept_is_split_as_before(
    kind: str, data: st.DataObject
) -> None:
    text = data.draw(st.text(max_size=12) | st.sampled_from(TEXTS) | st.text("goodfilms' 电影1"))
    before = full(kind).encode(text).ids
    others = sorted(set(full(kind).get_vocab().values()) - set(before))
    gone = data.draw(st.sets(st.sampled_from(others)) | st.just(set(others)))
    kept, small = without(kind, gone)
    assert kept[small.encode(text).ids].tolist() == before


@pytest.mark.parametrize("kind", ALL)
def test_ids_count_from_zero_in_the_old_order_and_special_tokens_are_where_they_belong(
    kind: str,
) -> None:
    occurring = {index for text in TEXTS[:2] for index in full(kind).encode(text).ids}
    kept, small = without(kind, set(full(kind).get_vocab().values()) - occurring)
    assert len(kept) < full(kind).get_vocab_size()
    assert small.get_vocab_size() == len(kept)
    assert [small.id_to_token(new) for new in range(len(kept))] == [
        full(kind).id_to_token(old) for old in kept.tolist()
    ]
    if kind != "gemma":
        for text, other in (("good <user> <url>", None), ("", None), ("a", "b")):
            assert small.encode(text, other).tokens == full(kind).encode(text, other).tokens


@pytest.mark.parametrize("kind", ALL)
def test_a_word_of_dropped_pieces_falls_apart_and_is_not_unknown(kind: str) -> None:
    word = full(kind).encode("film").ids
    _, small = without(kind, {i for piece, i in full(kind).get_vocab().items() if "il" in piece})
    tokens = small.encode("film").tokens
    assert len(tokens) > len(word)
    assert not {"[UNK]", "<unk>"} & set(tokens)
    spelled = "".join(token.lstrip("▁Ġ").removeprefix("##") for token in tokens)
    assert "film" in spelled.replace("[CLS]", "").replace("[SEP]", "")


def test_letters_of_kept_pieces_stay_so_that_no_word_is_unknown() -> None:
    pieces = {"[UNK]": 0, "film": 1, "fêl": 2, "x": 3, "##ê": 4, "ß": 5, "ing": 6}
    prune = Pruning(min_count=1, max_size=None, special_ids=(0,))
    vocabulary = table(pieces, [0, 2, 1, 0, 0, 0, 0])
    assert kept_ids(vocabulary, prune, wordpiece(pieces)).tolist() == [0, 1, 2, 3, 4]
    unigram = models.Unigram([(piece.removeprefix("##"), -1.0) for piece in pieces], unk_id=0)
    assert kept_ids(vocabulary, prune, written(unigram)).tolist() == [0, 1, 2, 3, 4]


def test_what_begins_a_piece_within_a_word_is_the_tokenizers_own() -> None:
    pieces = {"[UNK]": 0, "fêl": 1, "@@ê": 2, "##ê": 3, "@@ßß": 4}
    prune = Pruning(min_count=1, max_size=None, special_ids=(0,))
    tokenizer = wordpiece(pieces, continuing_subword_prefix="@@")
    assert kept_ids(table(pieces, [0, 1, 0, 0, 0]), prune, tokenizer).tolist() == [0, 1, 2]


def test_a_largest_size_keeps_the_most_frequent_pieces() -> None:
    pieces = {"[UNK]": 0, "aa": 1, "bb": 2, "cc": 3, "dd": 4}
    prune = Pruning(min_count=1, max_size=3, special_ids=(0,))
    vocabulary = table(pieces, [0, 2, 5, 2, 9])
    assert kept_ids(vocabulary, prune, wordpiece(pieces)).tolist() == [0, 1, 2, 4]


def test_the_pieces_on_the_way_to_a_kept_one_stay_and_other_merges_go() -> None:
    """`abc` is made of a + bc: of its two ways the one whose merge was learned first."""
    pieces = {"a": 0, "b": 1, "c": 2, "d": 3, "ab": 4, "bc": 5, "abc": 6, "cd": 7, "é": 8}
    merges = [("b", "c"), ("a", "b"), ("a", "bc"), ("ab", "c"), ("c", "d")]
    tokenizer = written(models.BPE(pieces, merges))
    prune = Pruning(min_count=1, max_size=None, special_ids=())
    kept = kept_ids(table(pieces, [0, 0, 0, 0, 0, 0, 1, 0, 0]), prune, tokenizer)
    assert kept.tolist() == [0, 1, 2, 3, 5, 6]
    small = json.loads(pruned_tokenizer(tokenizer, kept) or "")["model"]
    assert small["vocab"] == {"a": 0, "b": 1, "c": 2, "d": 3, "bc": 4, "abc": 5}
    assert small["merges"] == [["b", "c"], ["a", "bc"]]
    old = {**tokenizer, "model": {**tokenizer["model"], "merges": [" ".join(m) for m in merges]}}
    assert (
        kept_ids(table(pieces, [0, 0, 0, 0, 0, 0, 1, 0, 0]), prune, old).tolist() == kept.tolist()
    )
    assert json.loads(pruned_tokenizer(old, kept) or "")["model"]["merges"] == ["b c", "a bc"]


def test_an_unknown_character_stays_as_dear_as_it_was() -> None:
    """`axxb` is ax + xb, -41; unknown + xxb would be -45.1, but -31.1 without `q`."""
    pieces = [("<unk>", 0.0), ("ax", -20.0), ("xb", -21.0), ("xxb", -0.1), ("q", -35.0)]
    tokenizer = written(models.Unigram(pieces, unk_id=0))
    prune = Pruning(min_count=1, max_size=None, special_ids=(0,))
    vocabulary = table([piece for piece, _ in pieces], [0, 1, 1, 1, 0])
    kept = kept_ids(vocabulary, prune, tokenizer)
    assert kept.tolist() == [0, 1, 2, 3, 4]
    small = Tokenizer.from_str(pruned_tokenizer(tokenizer, kept) or "")
    assert small.encode("axxb").tokens == ["ax", "xb"]


@pytest.mark.parametrize(
    "model",
    [
        models.WordLevel({"[UNK]": 0, "film": 1}, unk_token="[UNK]"),
        models.BPE({"a": 0, "b</w>": 1}, [], end_of_word_suffix="</w>"),
    ],
)
def test_a_vocabulary_of_another_kind_stays_whole(model: Any) -> None:
    tokenizer = written(model)
    prune = Pruning(min_count=1, max_size=None, special_ids=(0,))
    assert kept_ids(table(["[UNK]", "film"], [0, 0]), prune, tokenizer).tolist() == [0]
    assert pruned_tokenizer(tokenizer, np.array([0])) is None


def wordpiece(pieces: dict[str, int], **options: Any) -> dict[str, Any]:
    return written(models.WordPiece(pieces, unk_token="[UNK]", **options))


def written(model: Any) -> dict[str, Any]:
    """The content of a tokenizer.json."""
    return dict(json.loads(Tokenizer(model).to_str()))
