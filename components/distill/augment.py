"""Augmented copies of token rows, for the teacher to label.

After Tang et al. 2019 (arXiv:1903.12136, section 3.2: masking, replacement, n-grams) and TinyBERT
(Jiao et al. 2020, arXiv:1909.10351, section 3.3: replacement by near words). Replacements are
neighbours in BERT's own embedding space, which needs no tagger and no word vectors, or the output
of a masked-LM head. Splicing joins the front of one row and the back of another.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from components.distill.contract import Augmentation
from components.distill.word_pieces import NO_NEIGHBOUR, WordPieces
from decant.data.tokens import UNLABELLED, TokenRows, TokensInfo


def augmented_copy(
    rows: Iterable[NDArray[np.int32]],
    pieces: WordPieces,
    plan: Augmentation,
    info: TokensInfo,
    *,
    seed: list[int],
) -> TokenRows:
    """One changed copy of each row, without labels; the same seed gives the same copy.

    A word is masked with one probability, or else, if it is a single known piece, replaced by one
    of its neighbours with the other (not where a masked-LM head has replaced words already). With a
    third probability the row's front is followed by another row's back, each at least one word;
    with a fourth only a contiguous span of the words is kept.
    """
    random = np.random.default_rng(seed)
    changed = [_change_words(row, pieces, plan, info, random) for row in rows]
    copies = []
    for row in changed:
        if random.random() < plan.splice_probability:
            other = changed[int(random.integers(len(changed)))]
            row = _splice(row, other, pieces, info.max_length_tokens, random)
        if random.random() < plan.span_probability:
            row = _span(row, pieces, random)
        copies.append(row)
    return TokenRows.of(copies, [UNLABELLED] * len(copies))


def _change_words(
    row: NDArray[np.int32],
    pieces: WordPieces,
    plan: Augmentation,
    info: TokensInfo,
    random: np.random.Generator,
) -> NDArray[np.int32]:
    body = row[1:-1]  # without [CLS] and [SEP]
    if len(body) == 0:
        return row
    word = _words(body, pieces)
    words = int(word[-1]) + 1
    draw = random.random(words)
    masked = (draw < plan.mask_probability)[word]
    column = random.integers(0, pieces.neighbours.shape[1], size=len(body))
    changed = body
    if plan.replace_with == "neighbours":
        replaced = (draw >= plan.mask_probability) & (
            draw < plan.mask_probability + plan.replace_probability
        )
        single = np.bincount(word, minlength=words) == 1
        replaced = (replaced & single)[word] & (pieces.neighbours[body, 0] != NO_NEIGHBOUR)
        changed = np.where(replaced, pieces.neighbours[body, column], body)
    changed = np.where(masked, info.mask_id, changed)
    starts = np.diff(word, prepend=-1) > 0
    keep = ~masked | starts  # one [MASK] for a whole word
    return np.concatenate([row[:1], changed[keep], row[-1:]]).astype(np.int32)


def _splice(
    row: NDArray[np.int32],
    other: NDArray[np.int32],
    pieces: WordPieces,
    max_length: int,
    random: np.random.Generator,
) -> NDArray[np.int32]:
    """[CLS] first words of the row, last words of the other [SEP]."""
    front, back = row[1:-1], other[1:-1]
    if len(front) == 0 or len(back) == 0:
        return row
    first, last = _words(front, pieces), _words(back, pieces)
    front = front[first < int(random.integers(1, first[-1] + 2))]
    back = back[last >= int(random.integers(0, last[-1] + 1))]
    body = np.concatenate([front, back])[: max_length - 2]
    return np.concatenate([row[:1], body, row[-1:]])


def _span(
    row: NDArray[np.int32], pieces: WordPieces, random: np.random.Generator
) -> NDArray[np.int32]:
    body = row[1:-1]
    if len(body) == 0:
        return row
    word = _words(body, pieces)
    words = int(word[-1]) + 1
    if words <= 2:
        return row
    length = int(random.integers(max(2, words // 4), words + 1))
    first = int(random.integers(0, words - length + 1))
    keep = (word >= first) & (word < first + length)
    return np.concatenate([row[:1], body[keep], row[-1:]])


def _words(body: NDArray[np.int32], pieces: WordPieces) -> NDArray[np.int64]:
    """(tokens,): which word each token belongs to, from 0."""
    return np.asarray(np.cumsum(pieces.starts(body)) - 1)
