"""What a tokenizer makes of texts: letters and symbols that it does not know, words it spells."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import regex
from tokenizers import Encoding, Tokenizer

# A text is poorly known when more of its letters than this are in unknown pieces. Of English texts
# with an English BERT hardly one is, of Chinese reviews all are.
MANY_LETTERS = 0.05
# Per letter: an English BERT takes 0.3 pieces on English, 0.5 on Finnish and Vietnamese, which it
# reads poorly but in syllables, and 0.9 to 1 on Russian, Greek, Arabic and Hebrew.
_MOST_PIECES_PER_LETTER = 0.7
_LEAST_LETTERS = 30  # a word or two, such as a name, say nothing of a language
_EXAMPLES = 3
# Without digits and signs, which every tokenizer knows, and of which every language has some.
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}\u200c\u200d]*")  # Persian and Hindi have joiners
_LETTER = regex.compile(r"[\p{L}\p{M}]")
# Of a script in which a character is a letter, not a syllable or a word.
_ALPHABETIC = regex.compile(
    r"[[\p{L}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]]", regex.VERSION1
)
_SYMBOL = regex.compile(r"\p{S}")
_MARKS_OF_SPACES = "▁Ġ"


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What a tokenizer makes of a sample of texts. Shares are 0 to 1.

    Attributes:
        letters: of the sample, after the tokenizer's normalizer.
        unknown_letters: share of the letters that are in unknown pieces.
        unknown: share of the texts that are poorly known: MANY_LETTERS are in unknown pieces.
        spelled: share of the texts whose words fall apart into letters, or characters into bytes,
            as where a tokenizer that knows every letter or byte was hardly trained on the language.
        words: unknown pieces with letters, the most frequent first.
        word_limit: the most characters of a word, where unknown pieces are longer.
        unknown_symbols: share of the texts with a symbol, such as an emoji, in an unknown piece.
        symbols: such symbols, the most frequent first.
    """

    letters: int
    unknown_letters: float
    unknown: float
    spelled: float
    words: tuple[str, ...]
    word_limit: int | None
    unknown_symbols: float
    symbols: tuple[str, ...]


@dataclass(kw_only=True)
class _Portion:
    """A text, or several of few letters."""

    letters: int = 0
    alphabetic: int = 0
    unknown_letters: int = 0
    pieces: int = 0

    @property
    def poorly_known(self) -> bool:
        return self.unknown_letters > MANY_LETTERS * self.letters

    @property
    def spelled(self) -> bool:
        return self.pieces > self.letters - (1 - _MOST_PIECES_PER_LETTER) * self.alphabetic


def knowledge(texts: Sequence[str], tokenizer: Tokenizer, unk_id: int) -> Knowledge:
    """Of the words of the texts, without what the tokenizer cuts off.

    A text of few letters is judged together with its neighbours.
    """
    portions, words = _portions(texts, tokenizer, unk_id)
    with_unknown, symbols = _unknown_symbols(texts, tokenizer, unk_id)
    letters = sum(one.letters for one in portions)
    limit = getattr(tokenizer.model, "max_input_chars_per_word", None)  # WordPiece's
    return Knowledge(
        letters=letters,
        unknown_letters=sum(one.unknown_letters for one in portions) / max(1, letters),
        unknown=sum(one.poorly_known for one in portions) / max(1, len(portions)),
        spelled=sum(one.spelled for one in portions) / max(1, len(portions)),
        words=_most_frequent(words),
        word_limit=limit if limit and any(len(word) > limit for word in words) else None,
        unknown_symbols=with_unknown / max(1, len(texts)),
        symbols=_most_frequent(symbols),
    )


def _portions(
    texts: Sequence[str], tokenizer: Tokenizer, unk_id: int
) -> tuple[list[_Portion], Counter[str]]:
    """The counts of the portions, and the unknown pieces. A portion with enough letters is full."""
    portions: list[_Portion] = []
    unknown: Counter[str] = Counter()
    words = [" ".join(_WORD.findall(text)) for text in texts]
    normal = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    for text, encoding in zip(words, tokenizer.encode_batch(words), strict=True):
        if not portions or portions[-1].letters >= _LEAST_LETTERS:
            portions.append(_Portion())
        pieces = _pieces(encoding)
        kept = normal(text[: max((end for _, _, end in pieces), default=0)])
        missed = [text[start:end] for piece, start, end in pieces if piece == unk_id]
        portions[-1].letters += len(_LETTER.findall(kept))
        portions[-1].alphabetic += len(_ALPHABETIC.findall(kept))
        portions[-1].unknown_letters += sum(len(_LETTER.findall(normal(one))) for one in missed)
        portions[-1].pieces += len(pieces)
        unknown.update(missed)
    if len(portions) > 1 and portions[-1].letters < _LEAST_LETTERS:
        portions.pop()  # what little is left over
    return portions, unknown


def _unknown_symbols(
    texts: Sequence[str], tokenizer: Tokenizer, unk_id: int
) -> tuple[int, Counter[str]]:
    """How many texts have unknown symbols, and these."""
    with_symbols = [text for text in texts if _SYMBOL.search(text)]
    count, symbols = 0, Counter[str]()
    for text, encoding in zip(with_symbols, tokenizer.encode_batch(with_symbols), strict=True):
        unknown = [text[start:end] for piece, start, end in _pieces(encoding) if piece == unk_id]
        found = _SYMBOL.findall("".join(unknown))
        count += bool(found)
        symbols.update(found)
    return count, symbols


def _pieces(encoding: Encoding) -> list[tuple[int, int, int]]:
    """Id, start and end in the text of each piece, without special ones and marks of spaces."""
    return [
        (piece, start, end)
        for piece, token, (start, end), special in zip(
            encoding.ids,
            encoding.tokens,
            encoding.offsets,
            encoding.special_tokens_mask,
            strict=True,
        )
        if not special and token.strip(_MARKS_OF_SPACES)
    ]


def _most_frequent(counts: Counter[str]) -> tuple[str, ...]:
    return tuple(piece for piece, _ in counts.most_common(_EXAMPLES))
