"""Where words begin among the pieces of a vocabulary, and which words may replace each other.

A tokenizer's own marks say where words begin (see decant.data.pieces). Each letter of a script that
is written without spaces begins one too: to the marks, a sentence of Thai is a single word. And
those that mark a beginning mark it after a space only, so for them punctuation is added, which a
pre-tokenizer such as BERT's sets apart.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.data.pieces import Pieces, pieces_of

NO_NEIGHBOUR = -1
# As the names of their characters begin.
_IDEOGRAPHS = ("CJK",)
_CONTINUED = ("THAI", "LAO", "KHMER", "MYANMAR")  # vowel signs may follow
_WITHOUT_SPACES = (*_IDEOGRAPHS, "HIRAGANA", "KATAKANA", *_CONTINUED)


@dataclass(frozen=True, kw_only=True)
class WordPieces:
    """What augmentation needs of the vocabulary.

    Attributes:
        begins: (V,) bool, a word begins with this piece.
        opens: (V,) bool, the mark of a beginning alone (`▁`): the next piece belongs to it.
        closes: (V,) bool, no piece continues this one: the next begins a word.
        words: (V,) bool, alphabetic whole words that occur in the rows.
        neighbours: (V, k) ids of the nearest words of the same kind, NO_NEIGHBOUR for a piece that
            is not a word.
    """

    begins: NDArray[np.bool_]
    opens: NDArray[np.bool_]
    closes: NDArray[np.bool_]
    words: NDArray[np.bool_]
    neighbours: NDArray[np.int64]

    def starts(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """(..., tokens) bool: the token begins a word, as the first one always does."""
        starts: NDArray[np.bool_] = self.begins[ids]
        starts[..., 1:] |= self.closes[ids[..., :-1]]
        starts[..., 1:] &= ~self.opens[ids[..., :-1]]
        starts[..., :1] = True
        return starts

    def whole_words(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """(..., tokens) bool: the token is one of `words` and is not continued by the next."""
        starts = self.starts(ids)
        ends = np.ones_like(starts)
        ends[..., :-1] = starts[..., 1:]
        whole: NDArray[np.bool_] = self.words[ids] & starts & ends
        return whole


def word_pieces(
    tokenizer: Mapping[str, Any],
    embeddings: NDArray[np.float32],
    used: NDArray[np.bool_],
    *,
    k: int,
) -> WordPieces:
    """Neighbours by cosine among the alphabetic whole words that occur in the rows.

    Words that do not occur are excluded: the student may have no embedding for them. A word is
    replaced by one that stands in a sentence as it does: an ideograph by an ideograph, a word with
    the mark of a space by one that has it too.

    Args:
        tokenizer: the content of its tokenizer.json.
        embeddings: (V, H), BERT's input embeddings.
        used: (V,), the pieces that occur in the rows.
    """
    size = len(embeddings)
    pieces = pieces_of(tokenizer)
    spellings = [_spelling(pieces, index) for index in range(size)]
    begins, opens, closes, words, single = (
        np.array(column, dtype=bool) for column in zip(*spellings, strict=True)
    )
    words &= used
    kinds = np.where(words, 1 + 2 * single + pieces.begins[:size], 0)
    groups = [np.flatnonzero(kinds == kind) for kind in range(1, 5)]
    k = max(1, min(k, max(map(len, groups)) - 1))
    neighbours = np.full((size, k), NO_NEIGHBOUR, dtype=np.int64)
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    for group in groups:
        if len(group) > 1:
            neighbours[group] = _nearest(unit, group, k)
    return WordPieces(begins=begins, opens=opens, closes=closes, words=words, neighbours=neighbours)


def _nearest(unit: NDArray[np.float32], candidates: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """(candidates, k): the ids of the nearest others, in turn where there are fewer than k."""
    available = min(k, len(candidates) - 1)
    result = np.empty((len(candidates), k), dtype=np.int64)
    for start in range(0, len(candidates), 1024):  # bounds the similarity matrix
        chosen = candidates[start : start + 1024]
        similarity = unit[chosen] @ unit[candidates].T
        similarity[chosen[:, None] == candidates[None]] = -np.inf
        nearest = np.argpartition(-similarity, available - 1, axis=1)[:, :available]
        sorted_ids = np.sort(candidates[nearest], axis=1)
        result[start : start + 1024] = sorted_ids[:, np.arange(k) % available]
    return result


def _spelling(pieces: Pieces, index: int) -> tuple[bool, bool, bool, bool, bool]:
    """Whether a piece begins, opens, closes, is a word, is a single ideograph."""
    if index >= len(pieces.surfaces):  # some tables are padded
        return True, False, False, False, False
    marked = bool(pieces.begins[index])
    if pieces.alone[index]:
        return True, False, pieces.marks_beginnings, False, False
    text, whole = _text(pieces.bytes_of(index))
    letters = text.strip() if pieces.marks_beginnings else text
    if not letters:
        return marked, marked and whole, False, False, False
    begins, closes = marked or _is_unspaced_letter(letters[0]), False
    if pieces.marks_beginnings:
        begins = begins or _is_sign(letters[0])
        last = letters[-1]
        closes = whole and (
            _is_sign(last) or (_is_unspaced_letter(last) and not _is_of(last, _CONTINUED))
        )
    single = len(letters) == 1 and _is_of(letters, _IDEOGRAPHS)
    is_word = begins and whole and (single or (len(letters) > 1 and _is_alphabetic(letters)))
    return begins, False, closes, is_word, single


def _text(data: bytes) -> tuple[str, bool]:
    """The text of a piece, and whether no character is cut at its ends.

    A character that is cut at the end is one of the same script; one at the beginning is left out.
    """
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        pass
    if data[0] & 0xC0 == 0x80:  # within a character
        return "", False
    for filled in (data + b"\x80" * missing for missing in (1, 2, 3)):
        try:
            return filled.decode(), False
        except UnicodeDecodeError:
            continue
    return "", False


def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PSZC"


def _is_unspaced_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L" and _is_of(character, _WITHOUT_SPACES)


def _is_of(character: str, scripts: tuple[str, ...]) -> bool:
    return unicodedata.name(character, "").startswith(scripts)


def _is_alphabetic(text: str) -> bool:
    """Letters, and the marks that some scripts write their vowels with."""
    return unicodedata.category(text[0])[0] == "L" and all(
        unicodedata.category(character)[0] in "LM" for character in text
    )
