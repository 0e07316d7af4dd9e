"""The static student: a mean, and BERT's matrix in its hidden layer."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from decant.students.static import Config, Static, build, transfer
from tests.errors import raises

STATES = torch.tensor([[[1.0, 2], [3, 6], [100, 100]]])
MASK = torch.tensor([[True, True, False]])


def static(hidden: int) -> Static:
    torch.manual_seed(0)
    return build(Config(hidden=hidden, dropout=0.5), width=2, max_length_tokens=8).eval()


def test_without_a_hidden_layer_it_is_the_mean_of_the_tokens() -> None:
    body = static(0)
    assert body(STATES, MASK).tolist() == [[2, 4]]
    assert (body.output_size, list(body.parameters())) == (2, [])


def test_the_hidden_layer_starts_as_berts_own_map_by_hand(by_hand: nn.Module, bert_of: Any) -> None:
    body = static(4)
    before = [parameter.detach().clone() for parameter in body.parameters()]
    with torch.no_grad():
        names = transfer(body, bert_of(by_hand, 2 * torch.eye(2), matrix="intermediate"))
    # the mean (2, 4) stands for t = (1, 2): M t + b = (5.1, 11.2, 17.3); the fourth unit has no row
    fourth = functional.relu(before[0][3] @ torch.tensor([2.0, 4]) + before[1][3])
    expected = torch.tensor([[5.1, 11.2, 17.3, fourth]])
    torch.testing.assert_close(body(STATES, MASK), expected)
    assert names == {"hidden.weight": False, "hidden.bias": False}
    with torch.no_grad():
        names = transfer(static(3), bert_of(by_hand, torch.eye(2), matrix="intermediate"))
    assert names == {"hidden.weight": True, "hidden.bias": True}


def test_there_is_no_place_for_a_matrix_without_a_hidden_layer(
    by_hand: nn.Module, bert_of: Any
) -> None:
    assert transfer(static(0), bert_of(by_hand, torch.eye(2))) == {}
    with raises("parameter-conflict", "value", "static.hidden"):
        transfer(static(0), bert_of(by_hand, torch.eye(2), matrix="value"))
