"""Losses of the single-label task, on labels and on a teacher's logits.

Shapes: logits and teacher_logits (B, C), labels (B,) with -1 where the label is unknown.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
UNKNOWN = -1


def label_loss(*, class_weights: Tensor | None = None, label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy on the labels; rows without a label add nothing."""

    def loss(logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        weights = None if class_weights is None else class_weights.to(logits.device)
        known = (batch["labels"] != UNKNOWN).sum().clamp(min=1)
        total = functional.cross_entropy(
            logits.float(),
            batch["labels"],
            weight=weights,
            ignore_index=UNKNOWN,
            label_smoothing=label_smoothing,
            reduction="sum",
        )
        return total / (known if weights is None else _weight_sum(weights, batch["labels"]))

    return loss


def distillation_loss(
    kind: Literal["mse", "kl"], *, temperature: float, hard_label_weight: float
) -> Loss:
    """The teacher's soft targets; a row that has a label mixes it in with `hard_label_weight`.

    mse: mean squared difference of the logits (Ba and Caruana 2014, arXiv:1312.6184; Tang et al.
    2019, arXiv:1903.12136). kl: Kullback-Leibler divergence from the teacher's distribution at a
    temperature T, times T² (Hinton et al. 2015, arXiv:1503.02531).
    """

    def soft_loss(logits: Tensor, teacher: Tensor) -> Tensor:
        if kind == "mse":
            return (logits - teacher).square().mean(dim=1)
        divergence = functional.kl_div(
            functional.log_softmax(logits / temperature, dim=1),
            functional.log_softmax(teacher / temperature, dim=1),
            reduction="none",
            log_target=True,
        )
        return temperature**2 * divergence.sum(dim=1)

    def loss(logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        logits = logits.float()
        rows = soft_loss(logits, batch["teacher_logits"])  # (B,)
        if hard_label_weight > 0:
            hard = functional.cross_entropy(
                logits, batch["labels"], ignore_index=UNKNOWN, reduction="none"
            )
            mixed = (1 - hard_label_weight) * rows + hard_label_weight * hard
            rows = torch.where(batch["labels"] == UNKNOWN, rows, mixed)
        return rows.mean()

    return loss


def disagreement(one: Tensor, other: Tensor) -> Tensor:
    """Mean of both Kullback-Leibler divergences between two logits (B, C) of the same rows.

    The second term of R-Drop (Liang et al. 2021, arXiv:2106.14448, equation 3), where the two come
    from the same network under two dropouts.
    """
    p, q = functional.log_softmax(one.float(), dim=1), functional.log_softmax(other.float(), dim=1)
    forward = functional.kl_div(p, q, log_target=True, reduction="batchmean")
    backward = functional.kl_div(q, p, log_target=True, reduction="batchmean")
    return (forward + backward) / 2


def balanced_class_weights(labels: Tensor, classes: int) -> Tensor:
    """rows / (classes * rows of the class), the usual "balanced" weights; shape (classes,)."""
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return len(labels) / (classes * counts.float())


def _weight_sum(weights: Tensor, labels: Tensor) -> Tensor:
    return weights[labels[labels != UNKNOWN]].sum().clamp(min=1e-12)
