"""Whether the encoder's tokenizer knows the texts, judged on a sample of each split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import regex
from tokenizers import Encoding, Tokenizer

from decant.runtime.errors import UserError

_SAMPLE_ROWS, _SAMPLE_ROW_GROUPS = 500, 10
# Shares of the letters. To an English BERT 0.1 % are unknown in English comments with emojis, 71 %
# in Chinese reviews, all in Thai and Amharic.
_MANY, _NEARLY_ALL = 0.05, 0.95
# Per letter: an English BERT takes 0.3 pieces on English, 0.5 on Finnish and Vietnamese, which it
# reads poorly but in syllables, and 0.9 to 1 on Russian, Greek, Arabic and Hebrew.
_MOST_PIECES_PER_LETTER = 0.7
_EXAMPLES, _LONGEST_EXAMPLE = 3, 20
# Without digits and punctuation, which every tokenizer knows, and of which every language has some.
_LETTER = regex.compile(r"[\p{L}\p{M}\p{S}]")
# Of a script in which a character is a letter, not a syllable or a word.
_ALPHABETIC = regex.compile(
    r"[[\p{L}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]]", regex.VERSION1
)
_HINT = (
    "set ingest.encoder to an encoder of the texts' language, or to a multilingual one, such as "
    "hf://bert-base-multilingual-cased"
)


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What a tokenizer makes of a sample of texts.

    Attributes:
        unknown_share: of the letters and symbols, those in pieces that are unknown, 0 to 1.
        examples: such pieces, the most frequent first.
        spelled: words fall apart into letters, or characters into bytes, as they do where a
            tokenizer that knows every letter or byte was hardly trained on the language.
    """

    unknown_share: float
    examples: tuple[str, ...]
    spelled: bool


def warnings_on(
    corpus: Path, splits: Sequence[str], tokenizer: Tokenizer, unk_id: int
) -> list[str]:
    """Sentences on what the tokenizer does not know, the splits named; [] where all is well.

    Raises UserError where it knows next to nothing of a split.
    """
    found = {
        split: knowledge(sample_texts(corpus / f"{split}.parquet"), tokenizer, unk_id)
        for split in splits
    }
    for split, one in found.items():
        if one.unknown_share > _NEARLY_ALL:
            raise UserError(
                f"the encoder's tokenizer knows next to nothing of the {split} texts: "
                f"{one.unknown_share:.0%} of their letters and symbols are unknown pieces, "
                f"such as {_quoted(one.examples)}",
                code="language-unknown",
                hint=_HINT,
            )
    return [*_unknown(found), *_spelled(found)]


def knowledge(texts: Sequence[str], tokenizer: Tokenizer, unk_id: int) -> Knowledge:
    """Of the parts of the texts that the tokenizer does not cut off."""
    pieces = 0
    characters: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for text, encoding in zip(texts, tokenizer.encode_batch(texts), strict=True):
        spans = _spans(encoding)
        pieces += len(spans)
        kept = text[: max((end for _, _, end in spans), default=0)]
        characters.update("".join(kept.split()))
        unknown.update(text[start:end] for piece, start, end in spans if piece == unk_id)
    letters = sum(times for one, times in characters.items() if _LETTER.match(one))
    letters_in = {piece: len(_LETTER.findall(piece)) for piece in unknown}
    unknown_letters = sum(letters_in[piece] * times for piece, times in unknown.items())
    alphabetic = sum(times for one, times in characters.items() if _ALPHABETIC.match(one))
    most_pieces = characters.total() - (1 - _MOST_PIECES_PER_LETTER) * alphabetic
    most_pieces += len(texts)  # some tokenizers mark the beginning of a text by a piece
    return Knowledge(
        unknown_share=unknown_letters / letters if letters else 0.0,
        examples=tuple(piece for piece, _ in unknown.most_common() if letters_in[piece])[
            :_EXAMPLES
        ],
        spelled=pieces > most_pieces,
    )


def sample_texts(file: Path) -> list[str]:
    """About 500 texts, spread evenly over at most ten row groups of the file."""
    parquet = pq.ParquetFile(file, pre_buffer=False)
    if not parquet.metadata.num_rows:
        return []
    last = parquet.num_row_groups - 1
    groups = sorted({int(group) for group in np.linspace(0, last, _SAMPLE_ROW_GROUPS)})
    rows = sum(parquet.metadata.row_group(group).num_rows for group in groups)
    step = max(1, rows // _SAMPLE_ROWS)
    texts: list[str] = []
    first = 0
    for batch in parquet.iter_batches(row_groups=groups, columns=["text"]):
        texts += batch.column(0)[first::step].to_pylist()
        first = (first - batch.num_rows) % step
    return texts


def _spans(encoding: Encoding) -> list[tuple[int, int, int]]:
    """Id, start and end in the text of each piece but the special ones."""
    return [
        (piece, start, end)
        for piece, (start, end), special in zip(
            encoding.ids, encoding.offsets, encoding.special_tokens_mask, strict=True
        )
        if not special
    ]


def _unknown(found: Mapping[str, Knowledge]) -> list[str]:
    many = {split: one for split, one in found.items() if one.unknown_share > _MANY}
    if not many:
        return []
    shares = ", ".join(f"{one.unknown_share:.0%} of {split}" for split, one in many.items())
    examples = max(many.values(), key=lambda one: one.unknown_share).examples
    return [
        "the encoder's tokenizer does not know many letters and symbols of the texts: "
        f"{shares}, such as {_quoted(examples)}; {_HINT}"
    ]


def _spelled(found: Mapping[str, Knowledge]) -> list[str]:
    splits = [split for split, one in found.items() if one.spelled]
    if not splits:
        return []
    return [
        f"the encoder's tokenizer spells the texts of {', '.join(splits)} letter by letter or byte "
        f"by byte, so it was hardly trained on their language; {_HINT}"
    ]


def _quoted(pieces: Sequence[str]) -> str:
    cut = (
        piece if len(piece) <= _LONGEST_EXAMPLE else f"{piece[: _LONGEST_EXAMPLE - 1]}…"
        for piece in pieces
    )
    return ", ".join(f"'{piece}'" for piece in cut)
