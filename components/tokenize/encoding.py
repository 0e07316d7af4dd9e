"""From a Parquet file of texts to an Arrow file of token ids, batch by batch."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from decant.data.tokens import arrow_schema, labelled_batch
from decant.runtime.artifact_files import reading
from decant.runtime.reporter import Advance
from decant.tasks.labels import corpus_fields, encode
from decant.tasks.task import Task

_READ_BYTES = 2**20
_AT_ONCE = 2


@dataclass(kw_only=True)
class SplitCounts:
    """The encoded texts of a split.

    Attributes:
        rows: texts.
        truncated_rows: texts that lost tokens.
        tokens: occurrences per token id, special tokens included, shape (vocabulary,).
    """

    rows: int
    truncated_rows: int
    tokens: NDArray[np.int64]

    def text_tokens(self, special_ids: Sequence[int]) -> int:
        """Tokens that are not special."""
        return int(self.tokens.sum() - self.tokens[sorted(set(special_ids))].sum())


def encode_split(
    source: Path,
    target: Path,
    tokenizer: Tokenizer,
    task: Task,
    vocabulary_size: int,
    batch_size_rows: int,
    advance: Advance,
) -> SplitCounts:
    """Encode texts and labels (absent: unknown) of a Parquet file; one Arrow batch per batch.

    Three batches at most are in memory.
    """
    counts = SplitCounts(rows=0, truncated_rows=0, tokens=np.zeros(vocabulary_size, dtype=np.int64))
    # With pre-buffering the whole compressed file would stay in memory; without a buffer, a row
    # group's column would.
    with reading(source):
        file = pq.ParquetFile(source, pre_buffer=False, buffer_size=_READ_BYTES)
    wanted = ["text", *(one.name for one in corpus_fields(task))]
    columns = [name for name in wanted if name in file.schema_arrow.names]
    schema = arrow_schema(encode(task, pa.RecordBatch.from_pylist([], pa.schema([]))))
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        batches = _read(source, file.iter_batches(batch_size_rows, columns=columns))
        for encoded in _encoded(batches, tokenizer, task):
            writer.write_batch(encoded.batch)
            counts.rows += encoded.batch.num_rows
            counts.truncated_rows += encoded.truncated_rows
            counts.tokens += np.bincount(encoded.values, minlength=vocabulary_size)
            advance(encoded.batch.num_rows)
    return counts


def _read(file: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Raises UserError where the file is damaged further on."""
    with reading(file):
        yield from batches


@dataclass(frozen=True, kw_only=True)
class _Encoded:
    """A batch of the tokens artifact.

    Attributes:
        values: all its token ids one after the other, shape (tokens,).
        truncated_rows: texts that lost tokens.
    """

    batch: pa.RecordBatch
    values: NDArray[np.int32]
    truncated_rows: int


def _encoded(
    batches: Iterator[pa.RecordBatch], tokenizer: Tokenizer, task: Task
) -> Iterator[_Encoded]:
    """The batches in their order; two are worked on at once.

    The tokenizer takes all cores and lets Python run meanwhile: so no core waits for what one of
    the two does in Python alone, which is to make strings, to take the ids and to free memory.
    """

    def encode_one(batch: pa.RecordBatch) -> _Encoded:
        encodings = tokenizer.encode_batch_fast(batch.column("text").to_pylist())
        ids, values = _token_ids(encodings)
        return _Encoded(
            batch=labelled_batch(ids, encode(task, batch)),
            values=values,
            truncated_rows=sum(bool(encoding.overflowing) for encoding in encodings),
        )

    with ThreadPoolExecutor(_AT_ONCE) as workers:
        coming = deque(workers.submit(encode_one, batch) for batch in islice(batches, _AT_ONCE))
        while coming:
            encoded = coming.popleft().result()
            coming.extend(workers.submit(encode_one, batch) for batch in islice(batches, 1))
            yield encoded


def _token_ids(encodings: Sequence[Encoding]) -> tuple[pa.ListArray, NDArray[np.int32]]:
    """The rows' ids as list<int32>, and all ids one after the other, shape (tokens,).

    Raises pyarrow.ArrowInvalid for 2^31 tokens or more, as offsets have 32 bits.
    """
    ends = np.zeros(len(encodings) + 1, dtype=np.int64)
    ends[1:] = np.cumsum([len(encoding) for encoding in encodings])
    # One row's Python integers at a time: faster than to make all rows' lists first.
    ids = chain.from_iterable(encoding.ids for encoding in encodings)
    values = np.fromiter(ids, dtype=np.int32, count=ends[-1])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(values)), values
