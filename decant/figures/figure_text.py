"""Figures as text: 98.1 %, +2.5 points, 4.1 MB."""

from dataclasses import dataclass

from decant.figures.figure_set import Interval

UNDEFINED = "undefined"


def share(value: float | None) -> str:
    """0.981 as 98.1 %."""
    return UNDEFINED if value is None else f"{100 * value:.1f} %"


def share_range(bounds: Interval | None) -> str:
    """(0.951, 0.998) as 95.1 to 99.8 %."""
    return UNDEFINED if bounds is None else f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %"


def points(value: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * value:+.1f} points"


def points_range(bounds: Interval) -> str:
    """The same of its interval."""
    return f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f} points"


def megabytes(size_bytes: float) -> str:
    """4077395 as 4.1 MB."""
    return f"{size_bytes / 1e6:.1f} MB"


def thread_count(count: int) -> str:
    """1 thread, 4 threads."""
    return f"{count} thread{'s' if count != 1 else ''}"


def times(ratio: float) -> str:
    """A ratio of times: 22.94 as 22.9."""
    return f"{ratio:.1f}"


def times_range(spread: Interval) -> str:
    """The same of its range: (19.7, 28.8) as 19.7 to 28.8."""
    return f"{spread[0]:.1f} to {spread[1]:.1f}"


def one_line(text: str, characters: int = 40) -> str:
    """A label or a text of the data in one line, cut to a number of characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= characters else f"{line[: characters - 1]}…"


def plain(value: float) -> str:
    """A threshold or a compared value: whole numbers in full, others to six digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


@dataclass(frozen=True, kw_only=True)
class ScoreText:
    """How a score is named and written: a share in per cent, another number to three digits.

    Attributes:
        title: such as `accuracy` or `Pearson's r`.
        is_share: 0 to 1.
    """

    title: str
    is_share: bool

    def text(self, value: float) -> str:
        """98.1 %, or 0.912."""
        return share(value) if self.is_share else f"{value:.3f}"

    def range(self, bounds: Interval) -> str:
        """95.1 to 99.8 %, or 0.901 to 0.920."""
        return share_range(bounds) if self.is_share else f"{bounds[0]:.3f} to {bounds[1]:.3f}"

    def difference(self, value: float) -> str:
        """+2.5 points, or +0.025."""
        return points(value) if self.is_share else f"{value:+.3f}"

    def difference_range(self, bounds: Interval) -> str:
        """The same of its interval."""
        return points_range(bounds) if self.is_share else f"{bounds[0]:+.3f} to {bounds[1]:+.3f}"
