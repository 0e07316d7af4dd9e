"""BERT's matrices in the student's space, against values computed by hand."""

from typing import Any

import torch
from torch import nn

from decant.students._layers import encoder_layers, layer_matrix
from tests.errors import raises


def test_a_matrix_that_reads_a_scaled_space_by_hand(by_hand: nn.Module, bert_of: Any) -> None:
    # a token t became e = 2 (t - (1, -1)), so t = e / 2 + (1, -1) and
    # M t + b = (M / 2) e + (1 - 2 + .1, 3 - 4 + .2, 5 - 6 + .3)
    offset = torch.tensor([1.0, -1])
    bert = bert_of(by_hand, 2 * torch.eye(2), offset=offset, matrix="intermediate")
    filled = layer_matrix(bert)
    assert filled is not None
    torch.testing.assert_close(filled[0], torch.tensor([[0.5, 1], [1.5, 2], [2.5, 3]]))
    torch.testing.assert_close(filled[1], torch.tensor([-0.9, -0.8, -0.7]))


def test_a_matrix_that_reads_one_direction_by_hand(by_hand: nn.Module, bert_of: Any) -> None:
    # e = .6 t0 + .8 t1, so t ≈ (.6 e, .8 e) and the value (t0 + 7, -t1 + 8) ≈ (.6 e + 7, -.8 e + 8)
    filled = layer_matrix(bert_of(by_hand, torch.tensor([[0.6], [0.8]]), matrix="value"))
    assert filled is not None
    torch.testing.assert_close(filled[0], torch.tensor([[0.6], [-0.8]]))
    torch.testing.assert_close(filled[1], torch.tensor([7.0, 8.0]))


def test_no_matrix_and_a_wider_student(by_hand: nn.Module, bert_of: Any) -> None:
    assert layer_matrix(bert_of(by_hand, torch.eye(2))) is None
    filled = layer_matrix(bert_of(by_hand, torch.eye(2, 4), matrix="intermediate"))
    assert filled is not None
    assert filled[0].tolist() == [[1, 2, 0, 0], [3, 4, 0, 0], [5, 6, 0, 0]]


def test_what_cannot_be_taken_over_is_an_error_of_the_user(
    by_hand: nn.Module, bert_of: Any
) -> None:
    from transformers import AutoConfig, AutoModel

    with raises("parameter-value", "transfer_weights.layer", "0 to 0"):
        layer_matrix(bert_of(by_hand, torch.eye(2), matrix="value", layer=1))
    with raises("parameter-conflict", "random", "copied_layers"):
        encoder_layers(bert_of(by_hand, torch.empty(0, 2)))
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 9}
    albert = AutoModel.from_config(AutoConfig.for_model("albert", **sizes, embedding_size=8))
    with raises("transfer-mismatch", "'albert'", "bert, camembert"):
        encoder_layers(bert_of(albert, torch.eye(8)))
    electra = AutoModel.from_config(AutoConfig.for_model("electra", **sizes, embedding_size=4))
    with raises("transfer-mismatch", "8", "4", "contextual"):
        encoder_layers(bert_of(electra, torch.eye(4)))
