"""Whether a teacher has anything to teach: is it better than an answer without reading?"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from decant.data.tokens import TokenRows
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.tasks.scores import constant_scores, decided, decides, scores
from decant.tasks.task import Task


def refuse_weak_teacher(
    task: Task,
    logits: Sequence[NDArray[np.float32]],
    validation: Sequence[TokenRows],
    train: Sequence[TokenRows],
    reporter: Reporter,
    *,
    allowed: bool,
) -> None:
    """Compare with the best constant answer, by each target's metric on the validation rows.

    Args:
        logits: the teacher's, of the validation rows, (rows, W) in parts.
        allowed: go on with a warning.

    Raises UserError for a teacher that is better for no target. Where nothing can be compared, as
    without labels, it passes.
    """
    answered, labels = np.concatenate(logits), TokenRows.joined(validation).labels
    if decides(task):  # as it would answer: with the decisions of these rows
        task = decided(task, answered, labels)
    reached = scores(task, answered, labels)
    constant = constant_scores(task, TokenRows.joined(train).labels, labels)
    compared = [
        target
        for target in task.targets
        if target.weight and not math.isnan(reached[target.name] + constant[target.name])
    ]
    weak = [one for one in compared if reached[one.name] <= constant[one.name]]
    if not weak:
        return
    problem = "; ".join(
        f"the teacher is no better than the best constant answer for '{one.name}': "
        f"{one.metric.replace('_', ' ')} {reached[one.name]:.4f} on the validation rows, "
        f"the constant's is {constant[one.name]:.4f}"
        for one in weak
    )
    if allowed or len(weak) < len(compared):
        reporter.warning(problem)
        return
    raise UserError(
        problem,
        code="teacher-weak",
        hint="train it longer or at another finetune.training.learning_rate, give it more labels, "
        "or check that texts and labels belong together; distill.allow_weak_teacher: true goes on",
    )
