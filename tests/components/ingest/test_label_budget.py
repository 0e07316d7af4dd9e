"""The label budget's shares, by hand."""

import numpy as np
import pytest

from components.ingest.budget import _shared


@pytest.mark.parametrize(
    ("sizes", "budget", "shares"),
    [
        ([50, 50], 10, [5, 5]),
        ([70, 30], 10, [7, 3]),
        ([60, 30, 10], 7, [4, 2, 1]),  # exact 4.2, 2.1, 0.7
        ([66, 34], 5, [3, 2]),  # exact 3.3, 1.7: the larger remainder gets the last one
        ([98, 1, 1], 10, [8, 1, 1]),  # small classes keep one
        ([3, 2, 5], 10, [3, 2, 5]),
        ([1000, 1, 1, 1], 4, [1, 1, 1, 1]),
    ],
)
def test_shares(sizes: list[int], budget: int, shares: list[int]) -> None:
    assert _shared(np.array(sizes), budget) == shares


def test_shares_never_exceed_a_class_and_always_add_up() -> None:
    draw = np.random.default_rng(0)
    for _ in range(300):
        sizes = draw.integers(1, 40, size=draw.integers(2, 8))
        budget = int(draw.integers(len(sizes), sizes.sum() + 1))
        shares = np.array(_shared(sizes, budget))
        assert shares.sum() == budget and (shares >= 1).all() and (shares <= sizes).all()
