"""Augmented copies: what may change, what never does."""

import dataclasses

import numpy as np
import pytest

from components.distill.augment import Augmentation, augmented_copy
from components.distill.word_pieces import NO_NEIGHBOUR, WordPieces
from decant.data.tokens import UNLABELLED, TokenRows, TokensInfo

INFO = TokensInfo(
    max_length_tokens=16, vocabulary_size=20, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4
)
# ids 10 to 14 are words, 15 to 19 continuations; the only neighbour of word i is 24 - i
CONTINUES = np.arange(20) >= 15
NEIGHBOURS = np.full((20, 1), NO_NEIGHBOUR)
NEIGHBOURS[10:15, 0] = 24 - np.arange(10, 15)
WORDS = NEIGHBOURS[:, 0] != NO_NEIGHBOUR
NONE = np.zeros(20, dtype=bool)
PIECES = WordPieces(begins=~CONTINUES, opens=NONE, closes=NONE, words=WORDS, neighbours=NEIGHBOURS)
ROWS = TokenRows.of([np.array([2, 10, 11, 15, 16, 12, 13, 3], dtype=np.int32)] * 300, [1] * 300)


def plan(
    mask: float = 0.0, replace: float = 0.0, span: float = 0.0, splice: float = 0.0
) -> Augmentation:
    return Augmentation(
        mask_probability=mask,
        replace_probability=replace,
        replace_with="neighbours",
        neighbours=1,
        splice_probability=splice,
        span_probability=span,
    )


def copies(of: Augmentation, seed: int = 0) -> list[list[int]]:
    return [row.tolist() for row in augmented_copy(ROWS, PIECES, of, INFO, seed=[seed])]


def test_nothing_changes_without_probabilities() -> None:
    assert copies(plan()) == [row.tolist() for row in ROWS]


def test_a_masked_word_is_one_mask_whatever_its_pieces() -> None:
    assert copies(plan(mask=1.0))[0] == [2, 4, 4, 4, 4, 3]


def test_only_words_of_one_piece_are_replaced_by_their_neighbour() -> None:
    assert copies(plan(replace=1.0))[0] == [2, 14, 11, 15, 16, 12, 11, 3]


def test_spans_are_contiguous_whole_words() -> None:
    body = ROWS[0].tolist()[1:-1]
    seen = set()
    for row in copies(plan(span=1.0)):
        assert (row[0], row[-1]) == (2, 3)
        span = row[1:-1]
        starts = [i for i in range(len(body)) if body[i : i + len(span)] == span]
        assert starts and not CONTINUES[span[0]]
        assert not (len(span) < len(body) - starts[0] and CONTINUES[body[starts[0] + len(span)]])
        seen.add(tuple(span))
    assert len(seen) > 3


def test_a_splice_is_a_front_and_another_rows_back_of_whole_words() -> None:
    other = np.array([2, 13, 14, 17, 3], dtype=np.int32)
    rows = TokenRows.of([ROWS[0], other] * 200, [0] * 400)
    copied = augmented_copy(rows, PIECES, plan(splice=1.0), INFO, seed=[0])
    fronts = {0: [[10], [10, 11, 15, 16], [10, 11, 15, 16, 12], ROWS[0].tolist()[1:-1]]}
    fronts[1] = [[13], [13, 14, 17]]
    backs = [[13], [12, 13], [11, 15, 16, 12, 13], ROWS[0].tolist()[1:-1], [14, 17], [13, 14, 17]]
    seen = set()
    for index, row in enumerate(copied):
        body = row.tolist()[1:-1]
        assert (row[0], row[-1]) == (2, 3)
        assert len(row) <= INFO.max_length_tokens
        assert any(body == front + back for front in fronts[index % 2] for back in backs)
        seen.add(tuple(body))
    assert len(seen) > 15


def test_a_splice_is_cut_at_the_greatest_length() -> None:
    short = dataclasses.replace(INFO, max_length_tokens=8)
    copied = augmented_copy(ROWS, PIECES, plan(splice=1.0), short, seed=[0])
    assert max(copied.lengths) == 8
    assert all(row[-1] == 3 for row in copied)


def test_shares_of_changed_words_are_the_probabilities() -> None:
    rows = copies(plan(mask=0.2, replace=0.3))
    masks = sum(row.count(4) for row in rows) / (300 * 4)
    replaced = sum(row[1] == 14 for row in rows) / 300
    assert masks == pytest.approx(0.2, abs=0.04)
    assert replaced == pytest.approx(0.3, abs=0.08)


def test_the_same_seed_gives_the_same_copy_and_copies_are_unlabelled() -> None:
    mixed = plan(mask=0.1, replace=0.1, span=0.25)
    assert copies(mixed, 1) == copies(mixed, 1) != copies(mixed, 2)
    copy = augmented_copy(ROWS, PIECES, mixed, INFO, seed=[1])
    assert set(copy.labels.tolist()) == {UNLABELLED}


def test_an_empty_text_stays_as_it_is() -> None:
    row = np.array([2, 3], dtype=np.int32)
    copy = augmented_copy(TokenRows.of([row], [0]), PIECES, plan(mask=1.0), INFO, seed=[0])
    assert copy[0].tolist() == [2, 3]
