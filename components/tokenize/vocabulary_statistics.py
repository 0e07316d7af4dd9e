"""How often each piece of the tokenizer's vocabulary occurs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer


def vocabulary_table(
    tokenizer: Tokenizer, train: NDArray[np.int64], unlabelled: NDArray[np.int64]
) -> pa.Table:
    """One row per token id, in order: token_id, piece ("" where the id is unused), two counts.

    Args:
        train, unlabelled: occurrences per token id, shape (vocabulary,).
    """
    pieces = [tokenizer.id_to_token(token_id) or "" for token_id in range(len(train))]
    return pa.table(
        {
            "token_id": pa.array(np.arange(len(train), dtype=np.int32)),
            "piece": pa.array(pieces, pa.string()),
            "count_train": pa.array(train),
            "count_unlabelled": pa.array(unlabelled),
        }
    )


def write_vocabulary(folder: Path, table: pa.Table) -> None:
    """Write the table as vocabulary.parquet."""
    pq.write_table(table, folder / "vocabulary.parquet")
