"""Cross-entropy on the class, and on the teacher's distribution over the classes."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

UNKNOWN = -1


def label_loss(
    logits: Tensor, labels: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy, its mean over the rows with a label, each with the weight of its class."""
    classes = _classes(labels)
    if weights is not None:
        weights = weights.to(logits.device)
    known = classes != UNKNOWN
    total = functional.cross_entropy(
        logits.float(),
        classes,
        weight=weights,
        ignore_index=UNKNOWN,
        label_smoothing=smoothing,
        reduction="sum",
    )
    if weights is None:
        return total / known.sum().clamp(min=1)
    return total / weights[classes[known]].sum().clamp(min=1e-12)


def row_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each row (B,), 0 without a label."""
    return functional.cross_entropy(
        logits, _classes(labels), ignore_index=UNKNOWN, reduction="none"
    )


def known(labels: Tensor) -> Tensor:
    """Which rows have a label, (B,)."""
    return _classes(labels) != UNKNOWN


def soft_losses(
    logits: Tensor, teacher: Tensor, *, form: Literal["mse", "kl"], temperature: float
) -> Tensor:
    """(B,) of logits and the teacher's (B, C).

    mse: the mean squared difference of the logits (Ba and Caruana 2014, arXiv:1312.6184; Tang et
    al. 2019, arXiv:1903.12136). kl: the Kullback-Leibler divergence from the teacher's distribution
    at a temperature T, times T² (Hinton et al. 2015, arXiv:1503.02531).
    """
    if form == "mse":
        return (logits - teacher).square().mean(dim=1)
    divergence = functional.kl_div(
        functional.log_softmax(logits / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        reduction="none",
        log_target=True,
    )
    return temperature**2 * divergence.sum(dim=1)


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """Mean of both Kullback-Leibler divergences between two logits (B, C) of the same rows."""
    p, q = functional.log_softmax(one.float(), dim=1), functional.log_softmax(other.float(), dim=1)
    forward = functional.kl_div(p, q, log_target=True, reduction="batchmean")
    backward = functional.kl_div(q, p, log_target=True, reduction="batchmean")
    return (forward + backward) / 2


def balanced_weights(labels: Tensor, outputs: int) -> Tensor:
    """The usual "balanced" weights (C,): rows / (classes * rows of the class)."""
    classes = _classes(labels)
    classes = classes[classes != UNKNOWN]
    counts = torch.bincount(classes, minlength=outputs).clamp(min=1)
    return len(classes) / (outputs * counts.float())


def _classes(labels: Tensor) -> Tensor:
    """Class indices (B,) of (B,), or of (B, 1) beside other targets, where NaN is unknown."""
    if labels.ndim == 1:
        return labels
    return labels[:, 0].nan_to_num(nan=UNKNOWN).long()
