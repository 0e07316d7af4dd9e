"""Batches: every row once, like lengths together, padded right."""

import numpy as np
import torch

from decant.data.tokens import TokenRows
from decant.training.examples import Examples, LengthBuckets, Padding


def rows_of(*lengths: int) -> TokenRows:
    rows = [np.full(length, length, dtype=np.int32) for length in lengths]
    return TokenRows.of(rows, range(len(rows)))


def test_padding_and_teacher_logits() -> None:
    parts = [np.array([row], dtype=np.float32) for row in ([1, 2], [3, 4])]
    examples = Examples(rows_of(1, 3), parts)
    batch = Padding(9)([examples[0], examples[1]])
    assert batch["input_ids"].tolist() == [[1, 9, 9], [3, 3, 3]]
    assert batch["labels"].tolist() == [0, 1]
    torch.testing.assert_close(batch["teacher_logits"], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_buckets_hold_every_row_once_and_pad_little() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, size=1003).astype(np.int32)
    sampler = LengthBuckets(lengths, 32, seed=1)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(1003))
    assert first != second
    assert first == list(LengthBuckets(lengths, 32, seed=1))
    batches = [first[start : start + 32] for start in range(0, 1003, 32)]
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    shuffled = np.random.default_rng(0).permutation(1003)
    at_random = sum(
        len(part) * lengths[part].max() for part in np.array_split(shuffled, len(batches))
    )
    assert padded < 0.7 * at_random


def test_examples_read_rows_and_targets_where_they_are() -> None:
    parts = [rows_of(1, 2), rows_of(3), rows_of(4, 5)]
    logits = [np.arange(2 * len(part), dtype=np.float32).reshape(-1, 2) for part in parts]
    features = [array.astype(np.float16) + 100 for array in logits]
    examples = Examples(TokenRows.joined(parts), logits, features)
    where = [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]
    assert len(examples) == len(where)
    for row, (part, at) in enumerate(where):
        example = examples[row]
        assert np.shares_memory(example["input_ids"], parts[part][at])
        assert np.shares_memory(example["teacher_logits"], logits[part][at])
        assert np.shares_memory(example["teacher_features"], features[part][at])
        assert example["labels"] == at
