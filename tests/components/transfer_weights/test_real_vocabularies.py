"""XLM-R's own vocabulary and a byte-level one of the default corpus, pruned to what occurs.

Half of the corpus decides what is kept; the other half has never been seen.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from components.transfer_weights.student_vocabulary import (
    Pruning,
    added_ids,
    kept_ids,
    pruned_tokenizer,
)
from decant import sources
from decant.data.pieces import read_tokenizer
from decant.data.retokenize import Retokenizer
from decant.data.tokens import TokenRows
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file
from tests.encoder_kinds import xlm_r_tokenizer


@pytest.fixture(scope="module")
def texts() -> list[str]:
    file = sources.fetch(read_params_file(PROJECT / "params.yaml")["ingest"]["source"])
    found: list[str] = pd.read_csv(file)["text"].dropna().drop_duplicates().tolist()
    return found


def xlm_r(texts: Sequence[str], file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(xlm_r_tokenizer()))
    tokenizer.save(str(file), pretty=False)


def byte_level(texts: Sequence[str], file: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=20_000,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    tokenizer.save(str(file), pretty=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "max_size", "most_pieces", "smallest_saving"),
    [(xlm_r, 8000, 8100, 12), (byte_level, 8000, 11_200, 1.5)],
)
def test_unseen_texts_are_split_as_before(
    make: Callable[[Sequence[str], Path], None],
    max_size: int,
    most_pieces: int,
    smallest_saving: float,
    texts: list[str],
    tmp_path: Path,
) -> None:
    files = [tmp_path / "full.json", tmp_path / "small.json"]
    make(texts, files[0])
    full, content = Tokenizer.from_file(str(files[0])), read_tokenizer(files[0])
    seen, unseen = texts[::2], texts[1::2]
    counts = np.zeros(full.get_vocab_size(), dtype=np.int64)
    for row in full.encode_batch_fast(seen):
        counts += np.bincount(row.ids, minlength=len(counts))
    vocabulary = pd.DataFrame(
        {"token_id": range(len(counts)), "count_train": counts, "count_unlabelled": 0}
    )
    pruning = Pruning(min_count=1, max_size=max_size, special_ids=added_ids(content))
    kept = kept_ids(vocabulary, pruning, content)
    files[1].write_text(pruned_tokenizer(content, kept) or "", "utf-8")
    small = Tokenizer.from_file(str(files[1]))

    assert max_size <= len(kept) <= most_pieces < full.get_vocab_size()
    assert files[0].stat().st_size > smallest_saving * files[1].stat().st_size
    before, after = ([row.ids for row in one.encode_batch_fast(unseen)] for one in (full, small))
    whole = [set(row) <= set(kept.tolist()) for row in before]
    assert sum(whole) > 1000
    for row, new, is_whole in zip(before, after, whole, strict=True):
        assert not is_whole or kept[new].tolist() == row
    rows = TokenRows.of([np.array(row, dtype=np.int32) for row in before], [0] * len(before))
    assert [row.tolist() for row in Retokenizer(*files).rows(rows)] == after
    unknown = sum(small.token_to_id("<unk>") in row for row in after)
    assert unknown < len(unseen) / 100  # characters that were never seen
