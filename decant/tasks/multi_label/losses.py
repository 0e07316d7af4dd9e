"""Binary cross-entropy per label, on 0 and 1 and on the teacher's probabilities.

Labels are (B, L) of 0 and 1, and NaN in the rows of which nothing is known.
"""

from typing import Literal

from torch import Tensor
from torch.nn import functional


def label_loss(
    logits: Tensor, labels: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Mean over the labels and the rows that have any; `weights` (L,) are those of a 1."""
    logits, labels = logits[known(labels)].float(), labels[known(labels)]
    labels = labels * (1 - smoothing) + smoothing / 2
    losses = functional.binary_cross_entropy_with_logits(
        logits,
        labels,
        pos_weight=None if weights is None else weights.to(logits.device),
        reduction="sum",
    )
    return losses / max(1, labels.numel())


def row_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the labels of each row, (B,)."""
    losses = functional.binary_cross_entropy_with_logits(
        logits, labels.nan_to_num(), reduction="none"
    )
    return losses.mean(dim=1)


def known(labels: Tensor) -> Tensor:
    """Which rows have been labelled, if with no label, (B,)."""
    return ~labels[:, 0].isnan()


def soft_losses(
    logits: Tensor, teacher: Tensor, *, form: Literal["mse", "kl"], temperature: float
) -> Tensor:
    """(B,) of logits and the teacher's (B, L).

    mse: the mean squared difference of the logits. kl: per label the divergence between two
    Bernoulli distributions at a temperature T, times T², its mean over the labels (Yang et al.
    2023, arXiv:2308.06453, equation 4).
    """
    if form == "mse":
        return (logits - teacher).square().mean(dim=1)
    one, other = teacher / temperature, logits / temperature
    divergence = one.sigmoid() * (functional.logsigmoid(one) - functional.logsigmoid(other)) + (
        -one
    ).sigmoid() * (functional.logsigmoid(-one) - functional.logsigmoid(-other))
    return temperature**2 * divergence.mean(dim=1)


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """Mean of both divergences between two logits (B, L) of the same rows."""
    one, other = one.float(), other.float()
    forward = soft_losses(one, other, form="kl", temperature=1.0)
    backward = soft_losses(other, one, form="kl", temperature=1.0)
    return (forward.mean() + backward.mean()) / 2


def balanced_weights(labels: Tensor, outputs: int) -> Tensor:
    """Rows without a label over rows with it, (L,), at most 100: the weight of a 1."""
    labels = labels[known(labels)]
    having = labels.sum(dim=0)
    return ((len(labels) - having) / having.clamp(min=1)).clamp(min=1 / 100, max=100)
