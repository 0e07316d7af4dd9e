"""Which rows of a training set an epoch has."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Draws(Protocol):
    """The rows of one epoch after the other."""

    def __len__(self) -> int:
        """Rows of an epoch."""
        ...

    def next(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Those of the next epoch, (len,), in random order."""
        ...


@dataclass(frozen=True)
class EveryRow:
    """Each of so many rows once an epoch."""

    rows: int

    def __len__(self) -> int:
        return self.rows

    def next(self, random: np.random.Generator) -> NDArray[np.int64]:
        """All of them."""
        return random.permutation(self.rows)


class RealAndCopies:
    """Real rows and augmented copies of them, in a given proportion, in epochs of a given length.

    The real rows are the first `real`, the copies the `copies` behind them. Of each kind a row
    comes again only after all others of its kind have come, also across epochs. So real rows, of
    which there are few, repeat, and copies that an epoch has no room for come in the next one.

    Args:
        epoch_rows: at least so many rows an epoch, and at least so many that every real row comes.
        real_share: of an epoch's rows that are real. Without copies all are.
    """

    def __init__(self, real: int, copies: int, *, epoch_rows: int, real_share: float) -> None:
        share = real_share if copies else 1.0
        rows = max(epoch_rows, -(-real // share))
        drawn = max(real, round(share * rows))
        self.real = _Rounds(0, real, drawn)
        self.copies = _Rounds(real, copies, int(rows) - drawn)

    def __len__(self) -> int:
        return self.real.drawn + self.copies.drawn

    def next(self, random: np.random.Generator) -> NDArray[np.int64]:
        """As many of both as the share says, mixed."""
        drawn = np.concatenate([self.real.next(random), self.copies.next(random)])
        return random.permutation(drawn)


@dataclass
class _Rounds:
    """Rows `start` ... `start + count - 1` in rounds, each in its own order; `drawn` a time."""

    start: int
    count: int
    drawn: int
    left: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def next(self, random: np.random.Generator) -> NDArray[np.int64]:
        taken = [self.left[: self.drawn]]
        while (missing := self.drawn - sum(map(len, taken))) > 0:
            self.left = self.start + random.permutation(self.count)
            taken.append(self.left[:missing])
        self.left = self.left[len(taken[-1]) :]
        return np.concatenate(taken)
