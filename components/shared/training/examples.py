"""Rows of token ids as torch sees them: a dataset, batches of like length, padding."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from components.shared.tokens import TokenRows, pad


class Examples(Dataset[dict[str, Any]]):
    """Token rows with labels and, for distillation, the teacher's logits (rows, classes)."""

    def __init__(self, rows: TokenRows, teacher_logits: NDArray[np.float32] | None = None) -> None:
        assert teacher_logits is None or len(teacher_logits) == len(rows)
        self.rows = rows
        self.teacher_logits = teacher_logits

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        example = {"input_ids": self.rows[row], "labels": int(self.rows.labels[row])}
        if self.teacher_logits is not None:
            example["teacher_logits"] = self.teacher_logits[row]
        return example


class Padding:
    """Collates examples to tensors: input_ids (B, longest), labels (B,), teacher_logits (B, C)."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = {
            "input_ids": torch.from_numpy(pad((e["input_ids"] for e in examples), self.pad_id)),
            "labels": torch.tensor([example["labels"] for example in examples]),
        }
        if "teacher_logits" in examples[0]:
            stacked = np.stack([example["teacher_logits"] for example in examples])
            batch["teacher_logits"] = torch.from_numpy(stacked)
        return batch


class LengthBuckets(Sampler[int]):
    """Shuffled rows, so ordered that the rows of a batch are of about the same length.

    Rows are shuffled, cut into pools of `pool_batches` batches, sorted by length within a pool, and
    the batches shuffled again, so that neither order nor company of a row is the same twice.
    """

    def __init__(
        self, lengths: NDArray[np.int32], batch_size: int, seed: int, *, pool_batches: int = 16
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.pool = batch_size * pool_batches
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        order = self.random.permutation(len(self.lengths))
        whole: list[NDArray[np.int64]] = []
        rest: list[NDArray[np.int64]] = []
        for start in range(0, len(order), self.pool):
            pool = order[start : start + self.pool]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            for at in range(0, len(pool), self.batch_size):
                batch = pool[at : at + self.batch_size]
                (whole if len(batch) == self.batch_size else rest).append(batch)
        batches = [whole[index] for index in self.random.permutation(len(whole))] + rest
        for batch in batches:
            yield from batch.tolist()
