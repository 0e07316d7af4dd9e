"""Losses against values computed by hand or with plain formulas."""

import math

import pytest
import torch

from components.shared.training.losses import (
    balanced_class_weights,
    disagreement,
    distillation_loss,
    label_loss,
)

LOGITS = torch.tensor([[0.0, math.log(3.0)], [1.0, 1.0]])
TEACHER = torch.tensor([[1.0, 0.0], [1.0, 3.0]])
BATCH = {"labels": torch.tensor([1, -1]), "teacher_logits": TEACHER}


def test_label_loss_leaves_out_rows_without_a_label() -> None:
    # the only labelled row has probability 3/4
    assert label_loss()(LOGITS, BATCH).item() == pytest.approx(-math.log(0.75))


def test_a_batch_without_any_label_costs_nothing() -> None:
    batch = {"labels": torch.tensor([-1, -1])}
    assert label_loss()(LOGITS, batch).item() == 0.0


def test_class_weights_are_those_of_torch() -> None:
    weights = torch.tensor([0.2, 5.0])
    labels = torch.tensor([1, 0])
    expected = torch.nn.functional.cross_entropy(LOGITS, labels, weight=weights)
    got = label_loss(class_weights=weights)(LOGITS, {"labels": labels})
    torch.testing.assert_close(got, expected)


def test_mse_is_over_all_logits() -> None:
    loss = distillation_loss("mse", temperature=1.0, hard_label_weight=0.0)
    expected = ((0 - 1) ** 2 + math.log(3) ** 2 + 0 + 2**2) / 4
    assert loss(LOGITS, BATCH).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kl_is_that_of_the_distributions_times_the_square_of_the_temperature(
    temperature: float,
) -> None:
    loss = distillation_loss("kl", temperature=temperature, hard_label_weight=0.0)
    p = (TEACHER.double() / temperature).softmax(1)
    q = (LOGITS.double() / temperature).softmax(1)
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean().item()
    assert loss(LOGITS, BATCH).item() == pytest.approx(expected, rel=1e-5)


def test_hard_labels_are_mixed_into_the_rows_that_have_one() -> None:
    mixed = distillation_loss("mse", temperature=1.0, hard_label_weight=0.25)(LOGITS, BATCH)
    labelled = 0.75 * (1 + math.log(3) ** 2) / 2 + 0.25 * -math.log(0.75)
    unlabelled = (0 + 2**2) / 2
    assert mixed.item() == pytest.approx((labelled + unlabelled) / 2, rel=1e-6)


def test_balanced_weights_by_hand() -> None:
    weights = balanced_class_weights(torch.tensor([0, 0, 0, 1]), 2)
    assert weights.tolist() == pytest.approx([4 / 6, 2.0])


def test_disagreement_is_symmetric_and_that_of_the_distributions() -> None:
    p, q = LOGITS.double().softmax(1), TEACHER.double().softmax(1)
    expected = ((p * (p / q).log()).sum(1).mean() + (q * (q / p).log()).sum(1).mean()) / 2
    assert disagreement(LOGITS, TEACHER).item() == pytest.approx(expected.item(), rel=1e-5)
    assert disagreement(TEACHER, LOGITS).item() == pytest.approx(expected.item(), rel=1e-5)
    assert disagreement(LOGITS, LOGITS).item() == pytest.approx(0, abs=1e-7)
