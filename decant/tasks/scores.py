"""How good logits are, of one model and beside another's, without more than numpy.

A kind's scores.py has, with logits (rows, W) and labels as labels.py encodes them:

    score(logits, labels, target)         the target's metric over the known rows; NaN without any
    agreement(logits, others, target)     share of the decisions that are the same, 0 to 1
    DECIDES                               whether something is chosen on validation rows
    decision(logits, labels, target)      that, such as thresholds: facts in JSON that answers.py
                                          reads; {} for nothing

and, where an answer without reading the text has a meaning,

    constant_logits(labels, target)       (W,), the best constant answer on these labels

`score` and `agreement` read such facts from `target.facts["decision"]`, and do without them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tasks.kinds import part
from decant.tasks.spec import with_labels
from decant.tasks.task import Target, Task

Logits = NDArray[np.floating[Any]]
Labels = NDArray[np.number[Any]]

DECISION = "decision"


def score(task: Task, logits: Logits, labels: Labels) -> float:
    """The metric of the only target, or the weighted mean of the targets'."""
    return weighted(task, scores(task, logits, labels))


def weighted(task: Task, found: Mapping[str, float]) -> float:
    """The only target's score, or the weighted mean of the targets'."""
    if len(found) == 1:
        return next(iter(found.values()))
    counted = [target for target in task.targets if target.weight]
    weights = [target.weight for target in counted]
    return float(np.average([found[target.name] for target in counted], weights=weights))


def scores(task: Task, logits: Logits, labels: Labels) -> dict[str, float]:
    """Each target's metric, by the target's name."""
    return {
        target.name: float(_of(target).score(logits[:, columns], own, target))
        for target, columns, own in with_labels(task, labels)
    }


def constant_scores(task: Task, train: Labels, labels: Labels) -> dict[str, float]:
    """Each target's metric of the constant answer that is best on the training labels.

    NaN where the kind has none, no training row has a label, or the metric is not defined for it.
    """
    found = {}
    for (target, _, own), (_, _, judged) in zip(
        with_labels(task, train), with_labels(task, labels), strict=True
    ):
        constant = getattr(_of(target), "constant_logits", None)
        known = own >= 0 if own.ndim == 1 else ~np.isnan(own[:, 0])
        if constant is None or not known.any():
            found[target.name] = float("nan")
            continue
        logits = np.tile(constant(own[known], target), (len(judged), 1))
        found[target.name] = float(_of(target).score(logits, judged, target))
    return found


def agreement(task: Task, logits: Logits, others: Logits) -> float:
    """The mean over the targets of the share of equal decisions, 0 to 1."""
    shares = [
        float(_of(target).agreement(logits[:, columns], others[:, columns], target))
        for target, columns in task.parts()
    ]
    return shares[0] if len(shares) == 1 else float(np.mean(shares))


def decides(task: Task) -> bool:
    """Whether any target has something to choose on validation rows."""
    return any(_of(target).DECIDES for target in task.targets)


def decided(task: Task, logits: Logits, labels: Labels) -> Task:
    """The task with what each kind chooses on these rows, for the manifest of this one model."""
    targets = []
    for target, columns, own in with_labels(task, labels):
        facts = _of(target).decision(logits[:, columns], own, target)
        if facts:
            target = dataclasses.replace(target, facts={**target.facts, DECISION: facts})
        targets.append(target)
    return Task(tuple(targets))


def _of(target: Target) -> Any:
    return part(target.kind, "scores")
