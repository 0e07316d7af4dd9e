"""Rows of token ids for torch: a dataset, batches of similar length, padding."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from decant.data.tokens import TokenRows, pad
from decant.training.draws import Draws, EveryRow


class Examples(Dataset[dict[str, Any]]):
    """Token rows with labels and, for distillation, the teacher's answers.

    Args:
        teacher_logits: (rows, classes), in parts that may be memory-mapped files, one after the
            other.
        teacher_features: (rows, T), likewise.
        draws: which rows an epoch of training has; every row once where none are given.
    """

    def __init__(
        self,
        rows: TokenRows,
        teacher_logits: Sequence[NDArray[np.float32]] = (),
        teacher_features: Sequence[NDArray[np.float16]] = (),
        draws: Draws | None = None,
    ) -> None:
        self.rows = rows
        self.draws = draws or EveryRow(len(rows))
        parts: dict[str, Sequence[NDArray[Any]]] = {
            "teacher_logits": teacher_logits,
            "teacher_features": teacher_features,
        }
        self.targets = {name: _Joined(arrays) for name, arrays in parts.items() if len(arrays)}
        assert all(len(target) == len(rows) for target in self.targets.values())

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        example = {"input_ids": self.rows[row], "labels": self.rows.labels[row]}
        return example | {name: target[row] for name, target in self.targets.items()}


class Padding:
    """Collates examples to tensors: input_ids (B, longest), labels, and the targets (B, .).

    labels: (B,) int64 of classes alone, else (B, E) float32.
    """

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """The batch of some examples."""
        batch = {
            "input_ids": torch.from_numpy(pad((e["input_ids"] for e in examples), self.pad_id)),
            "labels": _labels([example["labels"] for example in examples]),
        }
        for name in examples[0].keys() - batch.keys():
            batch[name] = torch.from_numpy(np.stack([example[name] for example in examples]))
        return batch


class LengthBuckets(Sampler[int]):
    """An epoch's rows, ordered so that the rows of a batch have about the same length.

    They are shuffled, cut into pools of `pool_batches` batches, sorted by length within a pool, and
    the batches shuffled again, so that a row has other neighbours in every epoch.
    """

    def __init__(
        self,
        lengths: NDArray[np.int32],
        batch_size: int,
        seed: int,
        *,
        draws: Draws | None = None,
        pool_batches: int = 16,
    ) -> None:
        self.lengths = lengths
        self.draws = draws or EveryRow(len(lengths))
        self.batch_size = batch_size
        self.pool = batch_size * pool_batches
        self.random = np.random.default_rng(seed)
        self.passes = 0

    def set_epoch(self, epoch: int) -> None:
        """Continue as after so many epochs, for a training that resumes."""
        while self.passes < epoch:
            self._next_batches()

    def __len__(self) -> int:
        return len(self.draws)

    def __iter__(self) -> Iterator[int]:
        for batch in self._next_batches():
            yield from batch.tolist()

    def _next_batches(self) -> list[NDArray[np.int64]]:
        self.passes += 1
        order = self.draws.next(self.random)
        whole: list[NDArray[np.int64]] = []
        rest: list[NDArray[np.int64]] = []
        for start in range(0, len(order), self.pool):
            pool = order[start : start + self.pool]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            for at in range(0, len(pool), self.batch_size):
                batch = pool[at : at + self.batch_size]
                (whole if len(batch) == self.batch_size else rest).append(batch)
        return [whole[index] for index in self.random.permutation(len(whole))] + rest


def _labels(labels: Sequence[Any]) -> Tensor:
    stacked = torch.from_numpy(np.stack(labels))
    return stacked.long() if stacked.ndim == 1 else stacked


class _Joined:
    """The rows of several arrays, one after the other, not copied."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self.arrays = list(arrays)
        self.starts = np.cumsum([0, *map(len, arrays)]).tolist()

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, row: int) -> NDArray[Any]:
        part = bisect_right(self.starts, row) - 1
        found: NDArray[Any] = self.arrays[part][row - self.starts[part]]
        return found
