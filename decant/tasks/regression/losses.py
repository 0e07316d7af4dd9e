"""Squared error of numbers in units of the training labels' standard deviation.

Labels and teacher are (B, 1); a logit is (number - center) / scale, facts of the target.
"""

from typing import Literal

from torch import Tensor


def label_loss(
    logits: Tensor, labels: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Mean over the rows with a number. There are no classes to weigh or to smooth."""
    rows = known(labels)
    errors = (logits[rows].float() - labels[rows]).square()
    return errors.sum() / max(1, errors.numel())


def row_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """The squared error of each row, (B,)."""
    return (logits - labels.nan_to_num()).square()[:, 0]


def known(labels: Tensor) -> Tensor:
    """Which rows have a number, (B,)."""
    return ~labels[:, 0].isnan()


def soft_losses(
    logits: Tensor, teacher: Tensor, *, form: Literal["mse", "kl"], temperature: float
) -> Tensor:
    """The squared error of each row, (B,), in both forms: there is no distribution."""
    return (logits - teacher).square()[:, 0]


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """The mean squared difference."""
    return (one.float() - other.float()).square().mean()


def balanced_weights(labels: Tensor, outputs: int) -> None:
    """Numbers have no classes."""
    return
