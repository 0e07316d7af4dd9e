"""From a Parquet file of texts to an Arrow file of token ids, batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from decant.data.tokens import ARROW_SCHEMA, UNLABELLED
from decant.runtime.reporter import Advance


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
    labels: Sequence[str],
    vocabulary_size: int,
    batch_size_rows: int,
    advance: Advance,
) -> SplitCounts:
    """Encode `text` and index `label` (absent: -1) of a Parquet file; one Arrow batch per batch."""
    counts = SplitCounts(rows=0, truncated_rows=0, tokens=np.zeros(vocabulary_size, dtype=np.int64))
    file = pq.ParquetFile(source)
    columns = [name for name in ("text", "label") if name in file.schema_arrow.names]
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, ARROW_SCHEMA) as writer:
        for batch in file.iter_batches(batch_size_rows, columns=columns):
            encodings = tokenizer.encode_batch_fast(batch.column("text").to_pylist())
            ids = pa.array([encoding.ids for encoding in encodings], pa.list_(pa.int32()))
            writer.write_batch(
                pa.RecordBatch.from_arrays([ids, _classes(batch, labels)], schema=ARROW_SCHEMA)
            )
            counts.rows += batch.num_rows
            counts.truncated_rows += sum(bool(encoding.overflowing) for encoding in encodings)
            values = ids.values.to_numpy(zero_copy_only=True)
            counts.tokens += np.bincount(values, minlength=vocabulary_size)
            advance(batch.num_rows)
    return counts


def _classes(batch: pa.RecordBatch, labels: Sequence[str]) -> pa.Array:
    """A label's position in the schema."""
    if "label" not in batch.schema.names:
        return pa.array(np.full(batch.num_rows, UNLABELLED, dtype=np.int32))
    values = batch.column("label").cast(pa.string())
    return pc.fill_null(
        pc.index_in(values, value_set=pa.array(list(labels), pa.string())), UNLABELLED
    )
