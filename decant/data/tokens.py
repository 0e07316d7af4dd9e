"""The tokens artifact: token ids of every split as memory-mapped Arrow.

train.arrow ...       input_ids list<int32> (special tokens included), label int32 (-1: none);
                      of other tasks than classes alone labels fixed_size_list<float32> (NaN: none)
vocabulary.parquet    token_id, piece, count_train, count_unlabelled
tokenizer.json        the encoder's tokenizer, truncating at max_length_tokens, not padding
tokens.json           max_length_tokens and the ids of the special tokens
schema.json           the corpus's schema
"""

import dataclasses
import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from decant.runtime.artifact_files import read_fields, reading
from decant.runtime.artifacts import write_json

UNLABELLED = -1
# (rows,) int32, or (rows, E) float32: as decant/tasks/labels.py encodes them.
Labels = NDArray[Any]
_BATCH_ROWS = 10_000  # bounds what a batch holds in memory, and its offsets, which have 32 bits


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
        """The ids of padding, unknown, beginning, end and mask."""
        return (self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id)


def read_info(folder: Path) -> TokensInfo:
    """Of the tokens artifact in the folder. Raises UserError when it is damaged."""
    return read_fields(TokensInfo, folder / "tokens.json")


def write_info(folder: Path, info: TokensInfo) -> None:
    """Write tokens.json into the tokens artifact."""
    write_json(folder / "tokens.json", dataclasses.asdict(info))


class TokenRows:
    """Rows of token ids, kept where they are (memory-mapped files or memory), of unequal length.

    Only a row's labels and its length are always in memory, of a class 8 bytes.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._values: list[NDArray[np.int32]] = []
        self._offsets: list[NDArray[np.int32]] = []
        self._starts: list[int] = [0]
        labels: list[Labels] = []
        for batch in batches:
            if batch.num_rows == 0:
                continue
            ids = batch.column("input_ids")
            self._values.append(ids.values.to_numpy(zero_copy_only=True))
            self._offsets.append(ids.offsets.to_numpy(zero_copy_only=True))
            self._starts.append(self._starts[-1] + batch.num_rows)
            labels.append(_labels_of(batch))
        empty = np.zeros(0, dtype=np.int32)
        self.labels: Labels = np.concatenate(labels) if labels else empty  # (rows,) or (rows, E)
        lengths = [np.diff(offsets) for offsets in self._offsets]
        self.lengths: NDArray[np.int32] = np.concatenate(lengths) if lengths else empty  # (rows,)

    @classmethod
    def open(cls, folder: Path, split: str) -> "TokenRows":
        """Memory-map a split of a tokens artifact."""
        return cls.map(folder / f"{split}.arrow")

    @classmethod
    def map(cls, file: Path) -> "TokenRows":
        """Memory-map a file as `write` makes it; it need not stay open, so there may be many.

        Raises UserError when the file is damaged.
        """
        with reading(file), pa.memory_map(str(file)) as source:
            reader = pa.ipc.open_file(source)
            return cls(reader.get_batch(index) for index in range(reader.num_record_batches))

    @classmethod
    def of(cls, rows: Iterable[NDArray[np.int32]], labels: Labels | Sequence[int]) -> "TokenRows":
        """Rows in memory, such as augmented copies."""
        return cls(_batches(rows, _array(labels)))

    @classmethod
    def joined(cls, parts: Iterable["TokenRows"]) -> "TokenRows":
        """The rows of several parts, one after the other, without copying their ids."""
        whole, parts = cls([]), list(parts)
        for part in parts:
            before = len(whole)
            whole._values += part._values
            whole._offsets += part._offsets
            whole._starts += [before + start for start in part._starts[1:]]
        labels = [part.labels for part in parts if len(part)]
        whole.labels = np.concatenate(labels) if labels else whole.labels
        whole.lengths = np.concatenate([whole.lengths, *(part.lengths for part in parts)])
        return whole

    def write(self, file: Path) -> None:
        """Write the rows as one Arrow file, batch by batch."""
        schema = arrow_schema(self.labels)
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for batch in _batches(self, self.labels):
                writer.write_batch(batch)

    def part(self, start: int, stop: int) -> "TokenRows":
        """The rows from `start` until before `stop`, without copying their ids."""
        start, stop = max(start, 0), min(stop, len(self))
        part = TokenRows([])
        row = start
        while row < stop:
            chunk = bisect_right(self._starts, row) - 1
            first, end = self._starts[chunk], min(self._starts[chunk + 1], stop)
            part._values.append(self._values[chunk])
            part._offsets.append(self._offsets[chunk][row - first : end - first + 1])
            part._starts.append(end - start)
            row = end
        part.labels, part.lengths = self.labels[start:stop], self.lengths[start:stop]
        return part

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label of any target, (rows,)."""
        if self.labels.ndim == 1:
            return np.asarray(self.labels != UNLABELLED)
        return np.asarray(~np.isnan(self.labels).all(axis=1))

    @cached_property
    def digest(self) -> str:
        """sha256 of the lengths and the token ids; labels do not count."""
        digest = hashlib.sha256(self.lengths.astype("<i4").tobytes())
        for values, offsets in zip(self._values, self._offsets, strict=True):
            digest.update(values[offsets[0] : offsets[-1]].astype("<i4", copy=False).data)
        return digest.hexdigest()

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


def arrow_schema(labels: Labels) -> pa.Schema:
    """The columns of the artifact for such labels."""
    name, labels_type = "label", pa.int32()
    if labels.ndim == 2:
        name, labels_type = "labels", pa.list_(pa.float32(), labels.shape[1])
    return pa.schema([("input_ids", pa.list_(pa.int32())), (name, labels_type)])


def unknown_labels(like: Labels, rows: int) -> Labels:
    """Labels of the same form for rows without any."""
    if like.ndim == 1:
        return np.full(rows, UNLABELLED, dtype=np.int32)
    return np.full((rows, like.shape[1]), np.nan, dtype=np.float32)


def to_batch(rows: Iterable[NDArray[np.int32]], labels: Labels | Sequence[int]) -> pa.RecordBatch:
    """Rows of token ids and their labels in the Arrow form of the artifact.

    Raises pyarrow.ArrowInvalid for 2^31 tokens or more: such rows belong into several batches.
    """
    listed = list(rows)
    ends = np.zeros(len(listed) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in listed], out=ends[1:])
    offsets = pa.array(ends, pa.int32())
    values = np.concatenate(listed) if listed else np.zeros(0)
    ids = pa.ListArray.from_arrays(offsets, pa.array(values.astype(np.int32, copy=False)))
    return labelled_batch(ids, _array(labels))


def labelled_batch(ids: pa.ListArray, labels: Labels) -> pa.RecordBatch:
    """Token ids list<int32> (rows,) and labels as a batch of the artifact."""
    schema = arrow_schema(labels)
    if labels.ndim == 1:
        column = pa.array(labels.astype(np.int32, copy=False))
    else:
        flat = pa.array(np.ascontiguousarray(labels, dtype=np.float32).ravel())
        column = pa.FixedSizeListArray.from_arrays(flat, labels.shape[1])
    return pa.RecordBatch.from_arrays([ids, column], schema=schema)


def pad(rows: Iterable[NDArray[np.int32]], pad_id: int) -> NDArray[np.int64]:
    """Stack rows to (batch, longest), filled up with the padding id."""
    listed = list(rows)
    longest = max((len(row) for row in listed), default=0)
    padded = np.full((len(listed), longest), pad_id, dtype=np.int64)
    for index, row in enumerate(listed):
        padded[index, : len(row)] = row
    return padded


def _batches(rows: Iterable[NDArray[np.int32]], labels: Labels) -> Iterator[pa.RecordBatch]:
    remaining, start = iter(rows), 0
    while chunk := list(islice(remaining, _BATCH_ROWS)):
        yield to_batch(chunk, labels[start : start + len(chunk)])
        start += len(chunk)


def _array(labels: Labels | Sequence[int]) -> Labels:
    return labels if isinstance(labels, np.ndarray) else np.array(list(labels), dtype=np.int32)


def _labels_of(batch: pa.RecordBatch) -> Labels:
    if "label" in batch.schema.names:
        labels: Labels = batch.column("label").to_numpy(zero_copy_only=True)
        return labels
    column = batch.column("labels")
    values = column.flatten().to_numpy(zero_copy_only=True)
    reshaped: Labels = values.reshape(len(column), column.type.list_size)
    return reshaped
