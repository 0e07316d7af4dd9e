"""How long the texts are, in tokens of the configured encoder, and in which script."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from decant import sources
from decant.models.encoder import TOKENIZER, load_tokenizer, position_limit
from pipelines.onboarding.column_kinds import script_of

_SAMPLE_TEXTS = 5000
# Of English WordPiece; a token is counted per letter where no spaces are written.
_TOKENS_PER_WORD = 1.35
_SPECIAL_TOKENS = 2
_ROUNDED_TO_TOKENS = 32
# A longer input costs time in proportion, and the beginning of a text mostly decides.
_LONGEST_PROPOSAL_TOKENS = 256
_MOST_CUT = 0.05
# Unicode's names of scripts, and common ones.
_SCRIPTS = {"CJK": "Han", "HANGUL": "Hangul"}


@dataclass(frozen=True, kw_only=True)
class TextFacts:
    """Of a sample of the texts.

    Attributes:
        exact: counted by the encoder's tokenizer; False: estimated from words.
        tokens: special tokens included: p50, p95 and the longest.
        cut: share of the texts that are longer than `limit`.
        limit: the present tokenize.max_length_tokens.
        proposal: a limit that cuts fewer; None where the present one suffices.
        unknown: share of tokens that the tokenizer lacks; None without its tokenizer.
        scripts: share of the letters per script, the most frequent first.
    """

    exact: bool
    texts: int
    tokens: tuple[int, int, int]
    cut: float
    limit: int
    proposal: int | None
    unknown: float | None
    scripts: Mapping[str, float]

    @property
    def tokens_per_text(self) -> str:
        about = "" if self.exact else "about "
        p50, p95, longest = self.tokens
        return f"{about}{p50} in the median, {p95} at 95 %, {longest:,} the longest"


def text_facts(texts: Sequence[str], *, encoder_uri: str, limit: int) -> TextFacts:
    """Counts with the encoder's tokenizer where the encoder is on this machine already.

    Raises UserError when that encoder is not usable.
    """
    sample = texts[:: max(1, len(texts) // _SAMPLE_TEXTS)]
    folder = sources.fetch_cached(encoder_uri)
    unknown = None
    positions = _LONGEST_PROPOSAL_TOKENS
    exact = folder is not None and (folder / TOKENIZER).is_file()
    if folder is not None and exact:
        lengths, unknown = _count(sample, folder)
        positions = position_limit(folder)
    else:
        lengths = np.array([_estimate(text) for text in sample])
    p50, p95 = (int(np.ceil(value)) for value in np.percentile(lengths, (50, 95)))
    cut = float((lengths > limit).mean())
    return TextFacts(
        exact=exact,
        texts=len(sample),
        tokens=(p50, p95, int(np.ceil(lengths.max()))),
        cut=cut,
        limit=limit,
        proposal=_proposal(p95, cut, limit, positions),
        unknown=unknown,
        scripts=_scripts(sample),
    )


def _count(texts: Sequence[str], folder: Path) -> tuple[np.ndarray, float]:
    """Tokens per text (texts,), and the share of unknown ones."""
    tokenizer = load_tokenizer(folder)
    encoded = tokenizer.encode_batch(list(texts))
    unknown_token = getattr(tokenizer.model, "unk_token", None)
    unknown_id = tokenizer.token_to_id(unknown_token) if unknown_token else None
    lengths = np.array([len(one.ids) for one in encoded])
    unknown = sum(one.ids.count(unknown_id) for one in encoded) if unknown_id is not None else 0
    return lengths, unknown / max(1, int(lengths.sum() - _SPECIAL_TOKENS * len(lengths)))


def _estimate(text: str) -> float:
    """Tokens from words, or from letters where words are not set apart."""
    words = text.split()
    letters = sum(letter.isalpha() for letter in text)
    by_words = len(words) * _TOKENS_PER_WORD
    return _SPECIAL_TOKENS + (letters if words and letters > 15 * len(words) else by_words)


def _proposal(p95: int, cut: float, limit: int, positions: int) -> int | None:
    if cut <= _MOST_CUT:
        return None
    wanted = -(-p95 // _ROUNDED_TO_TOKENS) * _ROUNDED_TO_TOKENS
    proposal = min(wanted, positions, _LONGEST_PROPOSAL_TOKENS)
    return proposal if proposal > limit else None


def _scripts(texts: Sequence[str]) -> dict[str, float]:
    counts = Counter(letter for text in texts for letter in text if letter.isalpha())
    by_script: Counter[str] = Counter()
    for letter, count in counts.items():
        name = script_of(letter)
        by_script[_SCRIPTS.get(name, name.capitalize() or "unknown")] += count
    total = max(1, by_script.total())
    return {name: count / total for name, count in by_script.most_common()}
