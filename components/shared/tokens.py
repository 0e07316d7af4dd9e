"""The tokens artifact: token ids of every split as memory-mapped Arrow.

train.arrow ...       input_ids list<int32> (special tokens included), label int32 (-1: none)
vocabulary.parquet    token_id, piece, count_train, count_unlabelled
tokenizer.json        the encoder's tokenizer, truncating at max_length_tokens, not padding
tokens.json           max_length_tokens and the ids of the special tokens
schema.json           the corpus's schema
"""

import dataclasses
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.shared.artifacts import read_json, write_json

UNLABELLED = -1
ARROW_SCHEMA = pa.schema([("input_ids", pa.list_(pa.int32())), ("label", pa.int32())])


@dataclass(frozen=True, kw_only=True)
class TokensInfo:
    """Ids of the encoder's special tokens and the length at which texts are cut."""

    max_length_tokens: int
    vocabulary_size: int
    pad_id: int
    unk_id: int
    cls_id: int
    sep_id: int
    mask_id: int

    @property
    def special_ids(self) -> tuple[int, ...]:
        return (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)


def read_info(folder: Path) -> TokensInfo:
    return TokensInfo(**read_json(folder / "tokens.json"))


def write_info(folder: Path, info: TokensInfo) -> None:
    write_json(folder / "tokens.json", dataclasses.asdict(info))


class TokenRows:
    """Rows of token ids, kept where they are (memory-mapped file or memory), of unequal length."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._values: list[NDArray[np.int32]] = []
        self._offsets: list[NDArray[np.int32]] = []
        self._starts: list[int] = [0]
        labels: list[NDArray[np.int32]] = []
        for batch in batches:
            ids = batch.column("input_ids")
            self._values.append(ids.values.to_numpy(zero_copy_only=True))
            self._offsets.append(ids.offsets.to_numpy(zero_copy_only=True))
            self._starts.append(self._starts[-1] + batch.num_rows)
            labels.append(batch.column("label").to_numpy(zero_copy_only=True))
        empty = np.zeros(0, dtype=np.int32)
        self.labels: NDArray[np.int32] = np.concatenate(labels) if labels else empty  # (rows,)
        lengths = [np.diff(offsets) for offsets in self._offsets]
        self.lengths: NDArray[np.int32] = np.concatenate(lengths) if lengths else empty  # (rows,)

    @classmethod
    def open(cls, folder: Path, split: str) -> "TokenRows":
        """Memory-map a split of a tokens artifact."""
        return cls.map(folder / f"{split}.arrow")

    @classmethod
    def map(cls, file: Path) -> "TokenRows":
        """Memory-map a file as `write` makes it."""
        reader = pa.ipc.open_file(pa.memory_map(str(file)))
        return cls(reader.get_batch(index) for index in range(reader.num_record_batches))

    @classmethod
    def of(cls, rows: Iterable[NDArray[np.int32]], labels: Iterable[int]) -> "TokenRows":
        """Rows in memory, such as augmented copies."""
        return cls([to_batch(rows, labels)])

    @classmethod
    def joined(cls, parts: Iterable["TokenRows"]) -> "TokenRows":
        """The rows of several parts, one after the other, without copying their ids."""
        whole = cls([])
        for part in parts:
            whole._values += part._values
            whole._offsets += part._offsets
            whole._starts += [whole._starts[-1] + start for start in part._starts[1:]]
            whole.labels = np.concatenate([whole.labels, part.labels])
            whole.lengths = np.concatenate([whole.lengths, part.lengths])
        return whole

    def write(self, file: Path) -> None:
        """Write the rows as one Arrow file."""
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, ARROW_SCHEMA) as writer:
            writer.write_batch(to_batch(self, self.labels))

    def head(self, rows: int) -> "TokenRows":
        """The first rows."""
        return TokenRows.of((self[row] for row in range(rows)), self.labels[:rows])

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        """The token ids of a row, shape (length,), a view."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        chunk = bisect_right(self._starts, row) - 1
        offsets, at = self._offsets[chunk], row - self._starts[chunk]
        return self._values[chunk][offsets[at] : offsets[at + 1]]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[row] for row in range(len(self)))


def to_batch(rows: Iterable[NDArray[np.int32]], labels: Iterable[int]) -> pa.RecordBatch:
    """Rows of token ids and their labels (-1: none) in the Arrow form of the artifact."""
    listed = list(rows)
    offsets = np.zeros(len(listed) + 1, dtype=np.int32)
    np.cumsum([len(row) for row in listed], out=offsets[1:])
    values = np.concatenate(listed) if listed else np.zeros(0)
    ids = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.astype(np.int32)))
    return pa.RecordBatch.from_arrays(
        [ids, pa.array(np.fromiter(labels, dtype=np.int32, count=len(listed)))], schema=ARROW_SCHEMA
    )


def pad(rows: Iterable[NDArray[np.int32]], pad_id: int) -> NDArray[np.int64]:
    """Stack rows to (batch, longest), filled up with the padding id."""
    listed = list(rows)
    longest = max((len(row) for row in listed), default=0)
    padded = np.full((len(listed), longest), pad_id, dtype=np.int64)
    for index, row in enumerate(listed):
        padded[index, : len(row)] = row
    return padded
