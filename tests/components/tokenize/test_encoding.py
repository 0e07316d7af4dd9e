"""One split's file, against Arrow's own conversion of the tokenizer's lists, byte by byte."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from components.tokenize.encoding import SplitCounts, encode_split
from decant.data.tokens import arrow_schema
from decant.tasks.task import Task
from tests.tiny import corpus_rows, tiny_tokenizer

LABELS = ("negative", "positive")
SCHEMA = arrow_schema(np.zeros(0, dtype=np.int32))


@pytest.fixture
def tokenizer() -> Tokenizer:
    tokenizer = tiny_tokenizer()
    tokenizer.enable_truncation(8)
    return tokenizer


def encode(rows: pd.DataFrame, folder: Path, tokenizer: Tokenizer, batch: int) -> SplitCounts:
    rows.to_parquet(folder / "train.parquet", index=False)
    return encode_split(
        folder / "train.parquet",
        folder / "train.arrow",
        tokenizer,
        Task.of_classes(LABELS),
        tokenizer.get_vocab_size(),
        batch,
        lambda amount: None,
    )


@pytest.mark.parametrize("batch", [1, 7, 50, 1000])
def test_bytes_of_the_file(tmp_path: Path, tokenizer: Tokenizer, batch: int) -> None:
    rows = pd.DataFrame(corpus_rows(50))
    rows.loc[3, "text"] = ""  # special tokens alone
    rows.loc[4, "label"] = None
    counts = encode(rows, tmp_path, tokenizer, batch)
    ids = [tokenizer.encode(text).ids for text in rows["text"]]
    classes = [LABELS.index(label) if isinstance(label, str) else -1 for label in rows["label"]]
    expected = tmp_path / "expected.arrow"
    with pa.OSFile(str(expected), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for start in range(0, len(ids), batch):
            part = slice(start, start + batch)
            columns = [
                pa.array(ids[part], pa.list_(pa.int32())),
                pa.array(classes[part], pa.int32()),
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
    assert (tmp_path / "train.arrow").read_bytes() == expected.read_bytes()
    assert (counts.rows, counts.tokens.sum()) == (50, sum(map(len, ids)))
    assert np.array_equal(np.flatnonzero(counts.tokens), np.unique(np.concatenate(ids)))


def test_a_failure_in_a_later_batch_is_raised(tmp_path: Path, tokenizer: Tokenizer) -> None:
    rows = pd.DataFrame(corpus_rows(30))
    rows.loc[20, "text"] = None
    with pytest.raises(TypeError):
        encode(rows, tmp_path, tokenizer, 5)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path, tokenizer: Tokenizer) -> None:
    draw = np.random.default_rng(0)
    texts = [draw.bytes(100).hex() for _ in range(20_000)]  # hardly compressible: 100 bytes each
    pq.write_table(pa.table({"text": texts}), tmp_path / "train.parquet", row_group_size=1000)
    held: list[int] = []
    before = pa.total_allocated_bytes()
    encode_split(
        tmp_path / "train.parquet",
        tmp_path / "train.arrow",
        tokenizer,
        Task.of_classes(LABELS),
        tokenizer.get_vocab_size(),
        1000,
        lambda amount: held.append(pa.total_allocated_bytes() - before),
    )
    assert len(held) == 20
    assert max(held) < 2e6 < (tmp_path / "train.parquet").stat().st_size
    assert held[-2] < 1.5 * held[4]
