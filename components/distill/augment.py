"""Augmented copies of token rows, for the teacher to label.

After Tang et al. 2019 (arXiv:1903.12136, section 3.2: masking, replacement, n-grams) and TinyBERT
(Jiao et al. 2020, arXiv:1909.10351, section 3.3: replacement by near words). Replacements are
neighbours in BERT's own embedding space, which needs no tagger and no word vectors.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from tokenizers import Tokenizer

from components.shared.settings import settings
from components.shared.tokens import UNLABELLED, TokenRows, TokensInfo

Probability = Annotated[float, Field(ge=0, le=1)]
NO_NEIGHBOUR = -1


@settings
class Augmentation:
    """How many copies of every row, and how each word of a copy may change."""

    copies: Annotated[int, Field(ge=0, le=1000)]
    mask_probability: Probability
    replace_probability: Probability
    neighbours: Annotated[int, Field(ge=1, le=1000)]
    span_probability: Probability


@dataclass(frozen=True)
class WordPieces:
    """What augmentation must know of the vocabulary.

    Attributes:
        continues: (V,) bool, the piece goes on a word (`##ing`).
        neighbours: (V, k) ids of the nearest whole words, NO_NEIGHBOUR where a piece is no word.
    """

    continues: NDArray[np.bool_]
    neighbours: NDArray[np.int64]


def augmented_copy(
    rows: TokenRows, pieces: WordPieces, plan: Augmentation, info: TokensInfo, *, seed: list[int]
) -> TokenRows:
    """One changed copy of each row, without labels; the same seed gives the same copy.

    A word is masked with one probability, or else, if it is a single known piece, replaced by one
    of its neighbours with the other; and with a third only a contiguous span of the words is kept.
    """
    random = np.random.default_rng(seed)
    copies = [_augment(row, pieces, plan, info, random) for row in rows]
    return TokenRows.of(copies, [UNLABELLED] * len(copies))


def word_pieces(
    tokenizer: Tokenizer, embeddings: NDArray[np.float32], used: NDArray[np.bool_], *, k: int
) -> WordPieces:
    """Neighbours by cosine among the alphabetic whole words of the vocabulary.

    Args:
        embeddings: (V, H), BERT's input embeddings.
        used: (V,), the pieces that occur in the rows; only they need neighbours.
    """
    size = len(embeddings)
    texts = [tokenizer.id_to_token(index) or "" for index in range(size)]
    # WordPiece marks a continuation (##ing); byte-pair and unigram vocabularies mark a beginning.
    marks_start = any(text.startswith(("Ġ", "▁")) for text in texts)
    if marks_start:
        continues = np.array([not text.startswith(("Ġ", "▁")) for text in texts])
    else:
        continues = np.array([text.startswith("##") for text in texts])
    letters = [text.lstrip("Ġ▁") for text in texts]
    word = ~continues & np.array([len(text) > 1 and text.isalpha() for text in letters])
    candidates = np.flatnonzero(word)
    k = min(k, len(candidates) - 1)
    neighbours = np.full((size, max(k, 1)), NO_NEIGHBOUR, dtype=np.int64)
    if k < 1:
        return WordPieces(continues, neighbours)
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    queries = np.flatnonzero(word & used)
    for start in range(0, len(queries), 1024):  # bounds the similarity matrix
        chosen = queries[start : start + 1024]
        similarity = unit[chosen] @ unit[candidates].T
        similarity[chosen[:, None] == candidates[None]] = -np.inf
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        neighbours[chosen] = np.sort(candidates[nearest], axis=1)
    return WordPieces(continues, neighbours)


def _augment(
    row: NDArray[np.int32],
    pieces: WordPieces,
    plan: Augmentation,
    info: TokensInfo,
    random: np.random.Generator,
) -> NDArray[np.int32]:
    body = row[1:-1]  # without [CLS] and [SEP]
    if len(body) == 0:
        return row
    starts = ~pieces.continues[body]
    starts[0] = True
    word = np.cumsum(starts) - 1  # (tokens,) the word each token belongs to
    words = int(word[-1]) + 1
    draw = random.random(words)
    masked = (draw < plan.mask_probability)[word]
    replaced = (draw >= plan.mask_probability) & (
        draw < plan.mask_probability + plan.replace_probability
    )
    single = np.bincount(word, minlength=words) == 1
    replaced = (replaced & single)[word] & (pieces.neighbours[body, 0] != NO_NEIGHBOUR)
    column = random.integers(0, pieces.neighbours.shape[1], size=len(body))
    changed = np.where(replaced, pieces.neighbours[body, column], body)
    changed = np.where(masked, info.mask_id, changed)
    keep = ~masked | starts  # one [MASK] for a whole word
    if words > 2 and random.random() < plan.span_probability:
        length = int(random.integers(max(2, words // 4), words + 1))
        first = int(random.integers(0, words - length + 1))
        keep &= (word >= first) & (word < first + length)
    return np.concatenate([row[:1], changed[keep], row[-1:]]).astype(np.int32)
