"""Whether the encoder's tokenizer knows the texts, judged on a sample of each split."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from components.tokenize.text_knowledge import MANY_LETTERS, Knowledge, knowledge
from decant.runtime.artifact_files import reading
from decant.runtime.errors import UserError

_SAMPLE_ROWS, _SAMPLE_ROW_GROUPS = 500, 10
_MANY_TEXTS = 0.05  # a share: some texts of another language are usual
# Only of a split that is learned from, and not for a handful of words.
_NEARLY_ALL_LETTERS, _ENOUGH_LETTERS, _LEARNED = 0.95, 100, "train"
_LONGEST_EXAMPLE = 20
_HINT = (
    "set ingest.encoder to an encoder of the texts' language, or to a multilingual one with a "
    "SentencePiece vocabulary, such as hf://FacebookAI/xlm-roberta-base"
)


def warnings_on(
    corpus: Path, splits: Sequence[str], tokenizer: Tokenizer, unk_id: int
) -> list[str]:
    """Sentences on what the tokenizer does not know, the splits named; [] where all is well.

    Raises UserError where it knows next to nothing of the training texts.
    """
    found = {
        split: knowledge(sample_texts(corpus / f"{split}.parquet"), tokenizer, unk_id)
        for split in splits
    }
    learned = found.get(_LEARNED)
    if (
        learned
        and learned.letters >= _ENOUGH_LETTERS
        and learned.unknown_letters > _NEARLY_ALL_LETTERS
    ):
        raise UserError(
            f"the encoder's tokenizer knows next to nothing of the {_LEARNED} texts: "
            f"{learned.unknown_letters:.0%} of their letters are in unknown pieces, "
            f"such as {_quoted(learned.words)}{_on_limit([learned])}",
            code="language-unknown",
            hint=_HINT,
        )
    return [*_unknown(found), *_spelled(found), *_symbols(found)]


def sample_texts(file: Path) -> list[str]:
    """About 500 texts, spread evenly over at most ten row groups of the file."""
    with reading(file):
        return _sampled(pq.ParquetFile(file, pre_buffer=False))


def _sampled(parquet: pq.ParquetFile) -> list[str]:
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


def _unknown(found: Mapping[str, Knowledge]) -> list[str]:
    many = _many(found, lambda one: one.unknown)
    if not many:
        return []
    examples = max(many.values(), key=lambda one: one.unknown_letters).words
    return [
        "the encoder's tokenizer does not know many letters: in "
        f"{_shares(many, lambda one: one.unknown)} more than {MANY_LETTERS:.0%} of the letters are "
        f"in unknown pieces, such as {_quoted(examples)}{_on_limit(many.values())}; {_HINT}"
    ]


def _spelled(found: Mapping[str, Knowledge]) -> list[str]:
    many = _many(found, lambda one: one.spelled)
    if not many:
        return []
    return [
        f"the encoder's tokenizer spells {_shares(many, lambda one: one.spelled)} letter by letter "
        f"or byte by byte, so it was hardly trained on their language; {_HINT}"
    ]


def _symbols(found: Mapping[str, Knowledge]) -> list[str]:
    """No advice: another encoder of the same language may know no more of them."""
    many = _many(found, lambda one: one.unknown_symbols)
    if not many:
        return []
    examples = max(many.values(), key=lambda one: one.unknown_symbols).symbols
    return [
        "the encoder's tokenizer does not know symbols in "
        f"{_shares(many, lambda one: one.unknown_symbols)}, such as {_quoted(examples)}: to it "
        "they are all alike"
    ]


def _many(
    found: Mapping[str, Knowledge], share: Callable[[Knowledge], float]
) -> dict[str, Knowledge]:
    return {split: one for split, one in found.items() if share(one) > _MANY_TEXTS}


def _shares(found: Mapping[str, Knowledge], share: Callable[[Knowledge], float]) -> str:
    return ", ".join(f"{share(one):.0%} of the {split} texts" for split, one in found.items())


def _on_limit(found: Iterable[Knowledge]) -> str:
    limits = [one.word_limit for one in found if one.word_limit]
    if not limits:
        return ""
    return (
        f"; a word of more than {limits[0]} characters is unknown whole, and so is a sentence "
        "without blanks"
    )


def _quoted(pieces: Sequence[str]) -> str:
    cut = (
        piece if len(piece) <= _LONGEST_EXAMPLE else f"{piece[: _LONGEST_EXAMPLE - 1]}…"
        for piece in pieces
    )
    return ", ".join(f"'{piece}'" for piece in cut)
