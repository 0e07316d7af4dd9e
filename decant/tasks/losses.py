"""The losses of a task: those of its targets, weighted.

A kind's losses.py has, with logits and teacher (B, W), W its outputs, and labels as labels.py
encodes them ((B,) or (B, E), -1 or NaN where unknown):

    label_loss(logits, labels, *, weights, smoothing)   a scalar, the mean over the known rows
    row_losses(logits, labels)                          (B,), any value where a row is unknown
    known(labels)                                       (B,) bool
    soft_losses(logits, teacher, *, form, temperature)  (B,), `form` is mse or kl
    disagreement(one, other)                            a scalar, of two dropouts of the same rows
    balanced_weights(labels, outputs)                   (W,), or None where a kind has none
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from decant.tasks.kinds import part
from decant.tasks.spec import with_labels
from decant.tasks.task import Target, Task

Form = Literal["mse", "kl"]
Weights = Sequence[Tensor | None]


def label_loss(
    task: Task, logits: Tensor, labels: Tensor, *, weights: Weights, smoothing: float
) -> Tensor:
    """Of logits (B, W) and labels; rows whose label of a target is unknown add nothing to it.

    Args:
        weights: of the outputs of each target, as `balanced_weights` gives them, or None.
        smoothing: 0 to 1; kinds without probabilities have none.
    """
    return _sum(
        task,
        [
            _of(target).label_loss(logits[:, columns], own, weights=weight, smoothing=smoothing)
            for (target, columns, own), weight in zip(
                with_labels(task, labels), weights, strict=True
            )
        ],
    )


def mixed_losses(
    task: Task,
    logits: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    form: Form,
    temperature: float,
    hard_weight: float,
) -> Tensor:
    """(B,): the loss on the teacher's answer; a row with a label mixes that in.

    Args:
        logits, teacher: (B, W).
        hard_weight: share of the label's loss, 0 to 1.
    """
    parts = []
    for target, columns, own in with_labels(task, labels):
        kind = _of(target)
        rows = kind.soft_losses(
            logits[:, columns], teacher[:, columns], form=form, temperature=temperature
        )
        if hard_weight > 0:
            hard = kind.row_losses(logits[:, columns], own)
            mixed = (1 - hard_weight) * rows + hard_weight * hard
            rows = torch.where(kind.known(own), mixed, rows)
        parts.append(rows)
    return _sum(task, parts)


def disagreement(task: Task, one: Tensor, other: Tensor) -> Tensor:
    """How far two logits (B, W) of the same rows are apart, a scalar.

    The second term of R-Drop (Liang et al. 2021, arXiv:2106.14448, equation 3), where the two come
    from the same network under two dropouts.
    """
    return _sum(
        task,
        [
            _of(target).disagreement(one[:, columns], other[:, columns])
            for target, columns in task.parts()
        ],
    )


def balanced_weights(task: Task, labels: Tensor) -> Weights:
    """Per target (W,), by which rare labels count as much as frequent ones; None without labels."""
    return [
        _of(target).balanced_weights(own, len(target.outputs))
        for target, _, own in with_labels(task, labels)
    ]


def _of(target: Target) -> Any:
    return part(target.kind, "losses")


def _sum(task: Task, losses: Sequence[Tensor]) -> Tensor:
    """Weighted; of one target its loss as it is."""
    if len(losses) == 1:
        return losses[0]
    weighted = [
        loss * one.weight for one, loss in zip(task.targets, losses, strict=True) if one.weight
    ]
    return torch.stack(weighted).sum(dim=0)
