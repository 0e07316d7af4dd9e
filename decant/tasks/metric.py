"""What the kinds say of their metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A score of a model; higher is better.

    Attributes:
        title: in tables and pictures, such as `micro-F1`.
        is_share: 0 to 1, shown in per cent.
    """

    title: str
    is_share: bool
