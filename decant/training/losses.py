"""Losses of the single-label task, on labels and on a teacher's answers.

Shapes: logits and teacher_logits (B, C), features (B, F) and teacher_features (B, T) as inputs of
the models' last layers, labels (B,) with -1 where the label is unknown. `progress` is the finished
share of the training, 0 to 1.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

UNKNOWN = -1
# A number, or two of them: at the start and at the end of the training, linear in between.
Schedule = float | list[float]


class Loss(Protocol):
    """A module's own parameters, where it has some, are trained with the model."""

    def __call__(
        self, logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        """A scalar of logits (B, classes), features (B, F) and a batch; progress is 0 to 1."""
        ...


def value_at(schedule: Schedule, progress: float) -> float:
    """The schedule's value at `progress`."""
    if isinstance(schedule, list):
        start, end = schedule
        return start + (end - start) * progress
    return schedule


def label_loss(*, class_weights: Tensor | None = None, label_smoothing: float = 0.0) -> Loss:
    """Cross-entropy on the labels; rows without a label add nothing."""

    def loss(
        logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
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


class DistillationLoss(nn.Module):
    """The teacher's answer for a row, and the row's label where it has one.

    soft: mse, the mean squared difference of the logits (Ba and Caruana 2014, arXiv:1312.6184; Tang
    et al. 2019, arXiv:1903.12136), or kl, the Kullback-Leibler divergence from the teacher's
    distribution at a temperature T, times T² (Hinton et al. 2015, arXiv:1503.02531).
    hard: cross-entropy; a row that has a label mixes it in with `hard_label_weight`. Rising over
    the training this is teacher annealing (Clark et al. 2019, arXiv:1907.04829, section 3.2).
    hidden: the mean squared difference between the teacher's features and a linear map of the
    student's, learned with it and then discarded, times `hidden_weight` (Romero et al. 2015,
    arXiv:1412.6550, section 2.2; TinyBERT, arXiv:1909.10351, equation 8).

    Args:
        features, teacher_features: F and T, needed where hidden states are matched.
    """

    def __init__(
        self,
        kind: Literal["mse", "kl"],
        *,
        temperature: Schedule,
        hard_label_weight: Schedule,
        hidden_weight: Schedule = 0.0,
        features: int = 0,
        teacher_features: int = 0,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.temperature = temperature
        self.hard_label_weight = hard_label_weight
        self.hidden_weight = hidden_weight
        self.map = nn.Linear(features, teacher_features) if teacher_features else None

    def forward(
        self, logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        """The mean over the rows of their soft and hard parts, plus the hidden one; a scalar."""
        logits = logits.float()
        rows = self._soft(logits, batch["teacher_logits"], progress)  # (B,)
        hard_weight = value_at(self.hard_label_weight, progress)
        if hard_weight > 0:
            hard = functional.cross_entropy(
                logits, batch["labels"], ignore_index=UNKNOWN, reduction="none"
            )
            mixed = (1 - hard_weight) * rows + hard_weight * hard
            rows = torch.where(batch["labels"] == UNKNOWN, rows, mixed)
        loss = rows.mean()
        if self.map is not None:
            mapped: Tensor = self.map(features.float())
            hidden = functional.mse_loss(mapped, batch["teacher_features"].float())
            loss = loss + value_at(self.hidden_weight, progress) * hidden
        return loss

    def _soft(self, logits: Tensor, teacher: Tensor, progress: float) -> Tensor:
        if self.kind == "mse":
            return (logits - teacher).square().mean(dim=1)
        temperature = value_at(self.temperature, progress)
        divergence = functional.kl_div(
            functional.log_softmax(logits / temperature, dim=1),
            functional.log_softmax(teacher / temperature, dim=1),
            reduction="none",
            log_target=True,
        )
        return temperature**2 * divergence.sum(dim=1)


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
    """The usual "balanced" weights (classes,): rows / (classes * rows of the class)."""
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return len(labels) / (classes * counts.float())


def _weight_sum(weights: Tensor, labels: Tensor) -> Tensor:
    return weights[labels[labels != UNKNOWN]].sum().clamp(min=1e-12)
