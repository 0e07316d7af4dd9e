"""What a model is trained to: the labels, or a teacher's answers and the labels.

Shapes: logits and teacher_logits (B, W), features (B, F) and teacher_features (B, T) as inputs of
the models' last layers, labels as decant/tasks/labels.py encodes them. `progress` is the finished
share of the training, 0 to 1.
"""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn
from torch.nn import functional

from decant.tasks import losses
from decant.tasks.losses import Form, Weights
from decant.tasks.task import Task

# A number, or two of them: at the start and at the end of the training, linear in between.
Schedule = float | list[float]


class Loss(Protocol):
    """A module's own parameters, where it has some, are trained with the model."""

    def __call__(
        self, logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        """A scalar of logits (B, W), features (B, F) and a batch; progress is 0 to 1."""
        ...


def value_at(schedule: Schedule, progress: float) -> float:
    """The schedule's value at `progress`."""
    if isinstance(schedule, list):
        start, end = schedule
        return start + (end - start) * progress
    return schedule


def label_loss(task: Task, *, weights: Weights | None = None, label_smoothing: float = 0.0) -> Loss:
    """The loss on the labels; rows without a label add nothing.

    Args:
        weights: per target those of its outputs, or None.
    """
    of_targets: Weights = weights or [None] * len(task.targets)

    def loss(
        logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        return losses.label_loss(
            task, logits, batch["labels"], weights=of_targets, smoothing=label_smoothing
        )

    return loss


class DistillationLoss(nn.Module):
    """The teacher's answer for a row, and the row's label where it has one.

    soft: mse or kl, as each kind of target defines them.
    hard: the loss on the label; a row that has one mixes it in with `hard_label_weight`. Rising
    over the training this is teacher annealing (Clark et al. 2019, arXiv:1907.04829, section 3.2).
    hidden: the mean squared difference between the teacher's features and a linear map of the
    student's, learned with it and then discarded, times `hidden_weight` (Romero et al. 2015,
    arXiv:1412.6550, section 2.2; TinyBERT, arXiv:1909.10351, equation 8).

    Args:
        features, teacher_features: F and T, needed where hidden states are matched.
    """

    def __init__(
        self,
        task: Task,
        form: Form,
        *,
        temperature: Schedule,
        hard_label_weight: Schedule,
        hidden_weight: Schedule = 0.0,
        features: int = 0,
        teacher_features: int = 0,
    ) -> None:
        super().__init__()
        self.task = task
        self.form = form
        self.temperature = temperature
        self.hard_label_weight = hard_label_weight
        self.hidden_weight = hidden_weight
        self.map = nn.Linear(features, teacher_features) if teacher_features else None

    def forward(
        self, logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        """The mean over the rows of their soft and hard parts, plus the hidden one; a scalar."""
        rows = losses.mixed_losses(
            self.task,
            logits.float(),
            batch["teacher_logits"],
            batch["labels"],
            form=self.form,
            temperature=value_at(self.temperature, progress),
            hard_weight=value_at(self.hard_label_weight, progress),
        )
        loss = rows.mean()
        if self.map is not None:
            mapped: Tensor = self.map(features.float())
            hidden = functional.mse_loss(mapped, batch["teacher_features"].float())
            loss = loss + value_at(self.hidden_weight, progress) * hidden
        return loss
