"""Token ids of everyday text, from a dictionary of the words that were seen.

A tokenizer spends most of its time on finding out what a text is made of, where nearly every text
is letters, digits and punctuation of ASCII. Of such a text the words are found with one expression,
and their pieces are looked up. Every other text is left to `tokenizers`, whose ids these are: the
export compares the two on many texts, and only then is this used (see
components/export_onnx/wordpiece_check.py).

WordPiece: Schuster and Nakajima 2012; the greedy search for the longest piece is BERT's.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MOST_LEARNT = 100_000  # words of several pieces that are kept; some 10 MB
# What the normalizer leaves as it is but for capitals, and the pre-tokenizer splits into words and
# single signs. A few signs beside ASCII are common in written text.
_SIGNS = r"!-/:-@\[-`{-~\u2018\u2019\u201c\u201d\u2013\u2014\u2026"
_PLAIN = re.compile(rf"[\t\n\r 0-9A-Za-z{_SIGNS}]*")
_WORD = re.compile(rf"[0-9A-Za-z]+|[{_SIGNS}]")
_NORMALIZER = {"clean_text": True, "strip_accents": None}


class WordPiece:
    """The words of one tokenizer.json. Safe to use from several threads.

    Args:
        vocabulary: ids by piece; of a piece within a word with `prefix` before it.
        unknown: the id of a word that has no pieces.
        longest: characters of a word; a longer one is unknown.
        lowercase: whether capitals are made small.
        added: contents of the added tokens: a text with one of them is left to `tokenizers`.
        before, behind: ids around every text.
        max_tokens: with those.
    """

    def __init__(
        self,
        vocabulary: Mapping[str, int],
        *,
        prefix: str,
        unknown: int,
        longest: int,
        lowercase: bool,
        added: tuple[str, ...],
        before: tuple[int, ...],
        behind: tuple[int, ...],
        max_tokens: int | None,
    ) -> None:
        self._vocabulary, self._prefix, self._unknown = vocabulary, prefix, unknown
        self._longest, self._lowercase, self._added = longest, lowercase, added
        self._before, self._behind = list(before), behind
        self._last = None if max_tokens is None else max_tokens - len(behind)
        self._words = self._whole_words()
        self._most = len(self._words) + _MOST_LEARNT

    def ids(self, text: str) -> list[int] | None:
        """Those of `tokenizers`; None where the text is left to it."""
        if not _PLAIN.fullmatch(text):
            return None
        for token in self._added:
            if token in text:
                return None
        ids, known, last = self._before.copy(), self._words, self._last
        for word in _WORD.findall(text.lower() if self._lowercase else text):
            pieces = known.get(word)
            ids += self._learn(word) if pieces is None else pieces
            if last is not None and len(ids) >= last:
                del ids[last:]
                break
        ids += self._behind
        return ids

    def _whole_words(self) -> dict[str, tuple[int, ...]]:
        """Words that are one piece: of their pieces it is the longest."""
        return {
            piece: (id,)
            for piece, id in self._vocabulary.items()
            if len(piece) <= self._longest and not piece.startswith(self._prefix)
        }

    def _learn(self, word: str) -> tuple[int, ...]:
        if len(self._words) >= self._most:
            self._words = self._whole_words()
        pieces = self._words[word] = self._pieces(word)
        return pieces

    def _pieces(self, word: str) -> tuple[int, ...]:
        """The longest piece, then the longest of what follows; unknown where there is none."""
        if len(word) > self._longest:
            return (self._unknown,)
        pieces: list[int] = []
        start = 0
        while start < len(word):
            prefix = self._prefix if start else ""
            for end in range(len(word), start, -1):
                piece = self._vocabulary.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return (self._unknown,)
            pieces.append(piece)
            start = end
        return tuple(pieces)


def read_wordpiece(file: Path) -> WordPiece | None:
    """Of a tokenizer.json as BERT's, that cuts on the right and does not pad; None of others."""
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    try:
        return _of(content)
    except (KeyError, TypeError, ValueError):  # of another form
        return None


def _of(content: dict[str, Any]) -> WordPiece | None:
    model, normalizer = content["model"], content["normalizer"]
    cut, added = content["truncation"], content["added_tokens"]
    is_as_berts = (
        model["type"] == "WordPiece"
        and normalizer["type"] == "BertNormalizer"
        and all(normalizer[name] == value for name, value in _NORMALIZER.items())
        and content["pre_tokenizer"] == {"type": "BertPreTokenizer"}
        and content["padding"] is None
        and (cut is None or (cut["direction"], cut["stride"]) == ("Right", 0))
        and not any(token["normalized"] for token in added)
    )
    if not is_as_berts:
        return None
    before, behind = _around(content["post_processor"])
    vocabulary: dict[str, int] = model["vocab"]
    return WordPiece(
        vocabulary,
        prefix=model["continuing_subword_prefix"],
        unknown=vocabulary[model["unk_token"]],
        longest=model["max_input_chars_per_word"],
        lowercase=normalizer["lowercase"],
        added=tuple(token["content"] for token in added),
        before=before,
        behind=behind,
        max_tokens=None if cut is None else cut["max_length"],
    )


def _around(processor: dict[str, Any] | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Ids before and behind a text. Raises ValueError for a form that is not known."""
    if processor is None:
        return (), ()
    if processor["type"] == "BertProcessing":
        return (processor["cls"][1],), (processor["sep"][1],)
    if processor["type"] != "TemplateProcessing":
        raise ValueError(processor["type"])
    special, parts = processor["special_tokens"], processor["single"]
    (place,) = (index for index, part in enumerate(parts) if "Sequence" in part)
    around = [
        tuple(id for part in side for id in special[part["SpecialToken"]["id"]]["ids"])
        for side in (parts[:place], parts[place + 1 :])
    ]
    return around[0], around[1]
