"""The kinds' losses against torch's own and plain formulas; classes are in training/test_losses."""

import math

import pytest
import torch
from torch.nn import functional

from decant.tasks import losses
from decant.tasks.task import Task
from tests.decant.tasks.targets import MOOD, SEVERAL, STARS, TOPICS

NAN = float("nan")
LOGITS = torch.tensor([[0.5, -1.0, 2.0], [0.0, 3.0, -2.0], [1.0, 1.0, 1.0]])
TEACHER = torch.tensor([[1.0, 0.0, 0.5], [-1.0, 2.0, 0.0], [3.0, -3.0, 0.0]])
LABELS = torch.tensor([[1.0, 0.0, 0.0], [NAN, NAN, NAN], [0.0, 1.0, 1.0]])
TOPIC, STAR = Task((TOPICS,)), Task((STARS,))


def test_labels_are_judged_one_by_one_and_unknown_rows_add_nothing() -> None:
    found = losses.label_loss(TOPIC, LOGITS, LABELS, weights=[None], smoothing=0.0)
    expected = functional.binary_cross_entropy_with_logits(LOGITS[[0, 2]], LABELS[[0, 2]])
    torch.testing.assert_close(found, expected)


def test_a_batch_without_labels_costs_nothing_and_has_a_gradient() -> None:
    for task, width in ((TOPIC, 3), (STAR, 1)):
        logits = torch.zeros(2, width, requires_grad=True)
        loss = losses.label_loss(
            task, logits, torch.full((2, width), NAN), weights=[None], smoothing=0.0
        )
        loss.backward()
        assert loss.item() == 0
        assert logits.grad is not None
        assert logits.grad.abs().sum() == 0


def test_smoothing_moves_labels_to_the_middle() -> None:
    found = losses.label_loss(TOPIC, LOGITS, LABELS, weights=[None], smoothing=0.2)
    smooth = LABELS[[0, 2]] * 0.8 + 0.1
    expected = functional.binary_cross_entropy_with_logits(LOGITS[[0, 2]], smooth)
    torch.testing.assert_close(found, expected)


def test_a_rare_label_weighs_as_much_as_its_absence() -> None:
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, NAN]])
    labels[3] = NAN
    (weights,) = losses.balanced_weights(TOPIC, labels)
    assert weights is not None
    # 1 of 3 rows, none of them, all of them
    assert weights.tolist() == pytest.approx([2.0, 3.0, 0.01])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_divergence_of_bernoullis_per_label(temperature: float) -> None:
    found = losses.mixed_losses(
        TOPIC, LOGITS, TEACHER, LABELS, form="kl", temperature=temperature, hard_weight=0.0
    )
    p = (TEACHER.double() / temperature).sigmoid()
    q = (LOGITS.double() / temperature).sigmoid()
    expected = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    torch.testing.assert_close(
        found.double(), temperature**2 * expected.mean(1), rtol=1e-5, atol=1e-6
    )


def test_extreme_logits_stay_numbers() -> None:
    huge = torch.tensor([[200.0, -200.0, 0.0]])
    for form in ("kl", "mse"):
        found = losses.mixed_losses(
            TOPIC, huge, -huge, LABELS[:1], form=form, temperature=1.0, hard_weight=0.5
        )
        assert torch.isfinite(found).all()


def test_hard_labels_are_mixed_into_the_rows_that_have_some() -> None:
    options = {"form": "mse", "temperature": 1.0}
    soft = losses.mixed_losses(TOPIC, LOGITS, TEACHER, LABELS, **options, hard_weight=0.0)
    mixed = losses.mixed_losses(TOPIC, LOGITS, TEACHER, LABELS, **options, hard_weight=0.25)
    hard = functional.binary_cross_entropy_with_logits(LOGITS[0], LABELS[0])
    assert mixed[1] == soft[1]
    torch.testing.assert_close(mixed[0], 0.75 * soft[0] + 0.25 * hard)


def test_numbers_have_squared_errors() -> None:
    logits, labels = torch.tensor([[1.0], [2.0], [0.0]]), torch.tensor([[0.0], [NAN], [2.0]])
    assert losses.label_loss(STAR, logits, labels, weights=[None], smoothing=0.0).item() == 2.5
    rows = losses.mixed_losses(
        STAR, logits, logits + 3, labels, form="kl", temperature=2.0, hard_weight=0.5
    )
    assert rows.tolist() == [0.5 * 9 + 0.5 * 1, 9, 0.5 * 9 + 0.5 * 4]


def test_several_targets_add_up_by_their_weights_over_what_is_known_of_each() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 0.5, -1.0, 2.0, 1.0], [1.0, 0.0, 0, 0, 0, 4.0]])
    labels = torch.tensor([[1.0, 1.0, 0.0, 0.0, NAN], [NAN, NAN, NAN, NAN, 2.0]])
    found = losses.label_loss(SEVERAL, logits, labels, weights=[None] * 3, smoothing=0.0)
    of_mood = -math.log(0.75)
    of_topics = functional.binary_cross_entropy_with_logits(logits[:1, 2:5], labels[:1, 1:4])
    of_stars = (4.0 - 2.0) ** 2
    assert found.item() == pytest.approx(of_mood + of_topics.item() + 0.5 * of_stars, rel=1e-6)


def test_alone_and_beside_others_a_target_costs_the_same() -> None:
    logits, labels = torch.randn(6, 2), torch.tensor([0, 1, -1, 1, 0, -1])
    beside = labels[:, None].float()
    beside[beside < 0] = NAN
    alone = losses.label_loss(Task((MOOD,)), logits, labels, weights=[None], smoothing=0.1)
    other = losses.label_loss(Task((MOOD,)), logits, beside, weights=[None], smoothing=0.1)
    torch.testing.assert_close(alone, other)


def test_disagreement_is_symmetric_and_none_with_itself() -> None:
    one, other = torch.randn(4, 6), torch.randn(4, 6)
    there, back = (losses.disagreement(SEVERAL, *pair) for pair in ((one, other), (other, one)))
    torch.testing.assert_close(there, back)
    assert there > 0
    assert losses.disagreement(SEVERAL, one, one).item() == pytest.approx(0, abs=1e-6)
