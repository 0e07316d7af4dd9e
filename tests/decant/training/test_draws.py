"""Which rows an epoch has: real rows repeat, copies continue, in the proportion asked for."""

from collections import Counter

import numpy as np
import pytest

from decant.training.draws import EveryRow, RealAndCopies


def test_every_row_once() -> None:
    random = np.random.default_rng(0)
    draws = EveryRow(5)
    assert sorted(draws.next(random)) == sorted(draws.next(random)) == list(range(5))


def test_real_rows_repeat_and_copies_continue_in_the_next_epoch() -> None:
    random = np.random.default_rng(0)
    draws = RealAndCopies(10, 60, epoch_rows=80, real_share=0.5)
    first, second, third = (draws.next(random) for _ in range(3))
    assert len(draws) == len(first) == 80
    for epoch in (first, second, third):
        assert Counter(row for row in epoch.tolist() if row < 10) == dict.fromkeys(range(10), 4)
    copies = [row for epoch in (first, second, third) for row in epoch.tolist() if row >= 10]
    assert Counter(copies) == dict.fromkeys(range(10, 70), 2)  # 120 drawn of 60
    assert set(first.tolist()) | set(second.tolist()) == set(range(70))


def test_rows_that_do_not_divide_evenly_differ_by_one_at_most() -> None:
    random = np.random.default_rng(0)
    draws = RealAndCopies(7, 0, epoch_rows=24, real_share=0.5)
    drawn = Counter(np.concatenate([draws.next(random) for _ in range(3)]).tolist())
    assert len(draws) == 24
    assert sorted(drawn.values()) == [10] * 5 + [11] * 2  # 72 drawn of 7


@pytest.mark.parametrize(
    ("real", "copies", "share", "rows", "real_drawn"),
    [
        (1000, 0, 0.5, 1000, 1000),  # without copies every real row comes once
        (1000, 5, 0.5, 2000, 1000),  # an epoch is as long as every real row needs
        (1000, 5, 1.0, 1000, 1000),  # copies may be left out
        (10, 1000, 0.25, 100, 25),
    ],
)
def test_an_epoch_has_every_real_row(
    real: int, copies: int, share: float, rows: int, real_drawn: int
) -> None:
    draws = RealAndCopies(real, copies, epoch_rows=100, real_share=share)
    epoch = draws.next(np.random.default_rng(0))
    assert len(draws) == len(epoch) == rows
    assert (epoch < real).sum() == real_drawn
    assert set(range(real)) <= set(epoch.tolist())


def test_an_order_can_be_drawn_again() -> None:
    def drawn() -> list[list[int]]:
        random, draws = (
            np.random.default_rng(3),
            RealAndCopies(9, 30, epoch_rows=20, real_share=0.4),
        )
        return [draws.next(random).tolist() for _ in range(4)]

    assert drawn() == drawn()
