"""Batches: every row once, like lengths together, padded right."""

from pathlib import Path

import numpy as np
import torch

from components.shared.tokens import TokenRows
from components.shared.training.examples import Examples, LengthBuckets, Padding


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


def test_rows_written_are_rows_mapped(tmp_path: Path) -> None:
    rows_of(1, 2, 3).write(tmp_path / "rows.arrow")
    mapped = TokenRows.map(tmp_path / "rows.arrow")
    assert [row.tolist() for row in mapped] == [[1], [2, 2], [3, 3, 3]]
    assert mapped.labels.tolist() == [0, 1, 2]
    assert [row.tolist() for row in mapped.head(2)] == [[1], [2, 2]]


def test_rows_of_several_parts_are_one() -> None:
    joined = TokenRows.joined([rows_of(1, 2), rows_of(3), TokenRows([]), rows_of(4)])
    assert [row.tolist() for row in joined] == [[1], [2, 2], [3, 3, 3], [4, 4, 4, 4]]
    assert joined.labels.tolist() == [0, 1, 0, 0]
    assert joined.lengths.tolist() == [1, 2, 3, 4]
