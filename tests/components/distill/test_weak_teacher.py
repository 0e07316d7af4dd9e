"""A teacher that is no better than an answer without reading is not distilled unless told to."""

import io

import numpy as np
import pytest
from rich.console import Console

from components.distill.weak_teacher import refuse_weak_teacher
from decant.data.tokens import TokenRows
from decant.runtime.reporter import Reporter
from decant.tasks.task import Task
from tests.errors import raises
from tests.word_models import CLASSES, EMOTIONS, STARS

ONE = Task((CLASSES,))


def rows(labels: np.ndarray) -> list[TokenRows]:
    ids = [np.array([2, 3], dtype=np.int32)] * len(labels)
    return [TokenRows.of(ids[:1], labels[:1]), TokenRows.of(ids[1:], labels[1:])]


def judge(
    task: Task, logits: np.ndarray, labels: np.ndarray, train: np.ndarray, *, allowed: bool = False
) -> str:
    """What is logged."""
    stream = io.StringIO()
    reporter = Reporter(step="distill", console=Console(file=stream, width=1000))
    parts = [logits[:1].astype(np.float32), logits[1:].astype(np.float32)]
    refuse_weak_teacher(task, parts, rows(labels), rows(train), reporter, allowed=allowed)
    return stream.getvalue()


def classes(*indices: int) -> np.ndarray:
    return np.array(indices, dtype=np.int32)


def answers(*indices: int) -> np.ndarray:
    return np.eye(2)[list(indices)]


def test_a_class_for_every_text_is_refused_with_both_scores() -> None:
    labels = classes(0, 0, 0, 1)
    with raises("teacher-weak", "'tone'", "accuracy 0.7500", "0.7500", "allow_weak_teacher"):
        judge(ONE, answers(0, 0, 0, 0), labels, classes(0, 0, 1))
    assert "no better" in judge(ONE, answers(1, 1, 1, 1), labels, classes(0, 0, 1), allowed=True)
    assert judge(ONE, answers(0, 0, 0, 1), labels, classes(0, 0, 1)) == ""


def test_the_constant_is_the_commonest_class_of_training_not_of_validation() -> None:
    assert judge(ONE, answers(0, 1, 1, 1), classes(0, 0, 0, 1), classes(1, 1, 0)) == ""


@pytest.mark.parametrize("labels", [classes(-1, -1, -1), classes(-1, 0, 0)])
def test_without_labels_to_compare_it_passes(labels: np.ndarray) -> None:
    assert judge(ONE, answers(0, 1, 1), classes(-1, -1, -1), labels) == ""


def test_labels_are_compared_as_they_would_be_answered() -> None:
    task = Task((EMOTIONS,))
    truth = np.array([[1, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    same = np.tile([3.0, -3.0], (4, 1))
    with raises("teacher-weak", "'emotions'", "micro f1"):
        judge(task, same, truth, truth)
    below_the_fixed_threshold = truth * 2 - 9  # and yet in the right order
    assert judge(task, below_the_fixed_threshold, truth, truth) == ""


def test_a_correlation_has_no_constant_and_passes() -> None:
    stars = np.array([[-1.0], [0.0], [1.0]], dtype=np.float32)
    assert judge(Task((STARS,)), -stars, stars, stars) == ""


def test_of_several_targets_one_that_is_learned_is_enough() -> None:
    task = Task((CLASSES, EMOTIONS))
    labels = np.array([[0, 1, 0], [0, 1, 1], [1, 0, 1]], dtype=np.float32)
    emotions = labels[:, 1:] * 8 - 4
    found = judge(task, np.hstack([answers(0, 0, 0), emotions]), labels, labels)
    assert "'tone'" in found and "'emotions'" not in found
    with raises("teacher-weak", "'tone'", "'emotions'"):
        judge(task, np.hstack([answers(0, 0, 0), -emotions]), labels, labels)
