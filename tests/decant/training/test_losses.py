"""Losses against values computed by hand or with plain formulas."""

import math

import pytest
import torch

from decant.tasks.losses import balanced_weights, disagreement
from decant.tasks.task import Task
from decant.training.losses import DistillationLoss, label_loss, value_at

TASK = Task.of_classes(["bad", "good"])

LOGITS = torch.tensor([[0.0, math.log(3.0)], [1.0, 1.0]])
TEACHER = torch.tensor([[1.0, 0.0], [1.0, 3.0]])
FEATURES = torch.tensor([[1.0], [2.0]])
BATCH = {"labels": torch.tensor([1, -1]), "teacher_logits": TEACHER}


def test_label_loss_leaves_out_rows_without_a_label() -> None:
    # the only labelled row has probability 3/4
    assert label_loss(TASK)(LOGITS, FEATURES, BATCH, 0.0).item() == pytest.approx(-math.log(0.75))


def test_a_batch_without_any_label_costs_nothing() -> None:
    batch = {"labels": torch.tensor([-1, -1])}
    assert label_loss(TASK)(LOGITS, FEATURES, batch, 0.0).item() == 0.0


def test_class_weights_are_those_of_torch() -> None:
    weights = torch.tensor([0.2, 5.0])
    labels = torch.tensor([1, 0])
    expected = torch.nn.functional.cross_entropy(LOGITS, labels, weight=weights)
    got = label_loss(TASK, weights=[weights])(LOGITS, FEATURES, {"labels": labels}, 0.0)
    torch.testing.assert_close(got, expected)


def test_mse_is_over_all_logits() -> None:
    loss = DistillationLoss(TASK, "mse", temperature=1.0, hard_label_weight=0.0)
    expected = ((0 - 1) ** 2 + math.log(3) ** 2 + 0 + 2**2) / 4
    assert loss(LOGITS, FEATURES, BATCH, 0.0).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kl_is_that_of_the_distributions_times_the_square_of_the_temperature(
    temperature: float,
) -> None:
    loss = DistillationLoss(TASK, "kl", temperature=temperature, hard_label_weight=0.0)
    p = (TEACHER.double() / temperature).softmax(1)
    q = (LOGITS.double() / temperature).softmax(1)
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean().item()
    assert loss(LOGITS, FEATURES, BATCH, 0.0).item() == pytest.approx(expected, rel=1e-5)


def test_hard_labels_are_mixed_into_the_rows_that_have_one() -> None:
    loss = DistillationLoss(TASK, "mse", temperature=1.0, hard_label_weight=0.25)
    mixed = loss(LOGITS, FEATURES, BATCH, 0.0)
    labelled = 0.75 * (1 + math.log(3) ** 2) / 2 + 0.25 * -math.log(0.75)
    unlabelled = (0 + 2**2) / 2
    assert mixed.item() == pytest.approx((labelled + unlabelled) / 2, rel=1e-6)


def test_balanced_weights_by_hand() -> None:
    weights = balanced_weights(TASK, torch.tensor([0, 0, 0, 1]))
    assert weights[0] is not None
    assert weights[0].tolist() == pytest.approx([4 / 6, 2.0])


def test_disagreement_is_symmetric_and_that_of_the_distributions() -> None:
    p, q = LOGITS.double().softmax(1), TEACHER.double().softmax(1)
    expected = ((p * (p / q).log()).sum(1).mean() + (q * (q / p).log()).sum(1).mean()) / 2
    assert disagreement(TASK, LOGITS, TEACHER).item() == pytest.approx(expected.item(), rel=1e-5)
    assert disagreement(TASK, TEACHER, LOGITS).item() == pytest.approx(expected.item(), rel=1e-5)
    assert disagreement(TASK, LOGITS, LOGITS).item() == pytest.approx(0, abs=1e-7)


def test_a_schedule_is_a_number_or_a_line() -> None:
    assert value_at(0.3, 0.9) == 0.3
    assert [value_at([1.0, 0.0], progress) for progress in (0.0, 0.25, 1.0)] == [1.0, 0.75, 0.0]


def test_schedules_follow_the_progress_of_the_training() -> None:
    loss = DistillationLoss(TASK, "kl", temperature=[4.0, 1.0], hard_label_weight=[0.0, 1.0])
    at_start = DistillationLoss(TASK, "kl", temperature=4.0, hard_label_weight=0.0)
    half = DistillationLoss(TASK, "kl", temperature=2.5, hard_label_weight=0.5)
    for progress, fixed in ((0.0, at_start), (0.5, half)):
        expected = fixed(LOGITS, FEATURES, BATCH, 0.0)
        torch.testing.assert_close(loss(LOGITS, FEATURES, BATCH, progress), expected)


def test_hidden_matching_compares_the_mapped_features() -> None:
    loss = DistillationLoss(
        TASK,
        "mse",
        temperature=1.0,
        hard_label_weight=0.0,
        hidden_weight=[2.0, 0.0],
        features=1,
        teacher_features=2,
    )
    assert loss.map is not None
    with torch.no_grad():
        loss.map.weight.copy_(torch.tensor([[1.0], [3.0]]))
        loss.map.bias.copy_(torch.tensor([0.0, 1.0]))
    batch = BATCH | {"teacher_features": torch.tensor([[0.0, 4.0], [2.0, 5.0]]).half()}
    soft = ((0 - 1) ** 2 + math.log(3) ** 2 + 0 + 2**2) / 4
    hidden = ((1 - 0) ** 2 + (4 - 4) ** 2 + (2 - 2) ** 2 + (7 - 5) ** 2) / 4
    assert loss(LOGITS, FEATURES, batch, 0.0).item() == pytest.approx(soft + 2 * hidden, rel=1e-6)
    assert loss(LOGITS, FEATURES, batch, 1.0).item() == pytest.approx(soft, rel=1e-6)
    assert {name for name, _ in loss.named_parameters()} == {"map.weight", "map.bias"}
