"""Replacement by a masked-LM head: only whole words, only words of the corpus, likely ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.distill.masked_lm import load_masked_lm, replaced_words
from components.distill.word_pieces import WordPieces
from decant.data.tokens import TokenRows, TokensInfo
from tests.errors import raises

INFO = TokensInfo(
    max_length_tokens=16, vocabulary_size=20, pad_id=0, unk_id=1, cls_id=2, sep_id=3, mask_id=4
)
WORDS = np.isin(np.arange(20), [10, 11, 12, 13])
# 16 continues a word
BEGINS, NONE = np.arange(20) != 16, np.zeros(20, dtype=bool)
ROWS = TokenRows.of(
    [np.array(row, dtype=np.int32) for row in ([2, 10, 15, 11, 3], [2, 12, 3], [2, 3])] * 50,
    [0] * 150,
)


class LikesEleven(nn.Module):
    """After a masked place: 12 is the likeliest, 13 a third as likely, 10 and 11 never."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        logits = torch.full((*input_ids.shape, 20), -50.0)
        logits[..., 12] = np.log(3.0)
        logits[..., 13] = 0.0
        logits[..., 5] = 99.0  # no word
        return type("Output", (), {"logits": logits})()


def replaced(
    probability: float,
    choices: int = 2,
    seed: int = 0,
    words: np.ndarray = WORDS,
    rows: TokenRows = ROWS,
) -> list[list[int]]:
    made = replaced_words(
        rows,
        LikesEleven(),
        WordPieces(
            begins=BEGINS, opens=NONE, closes=NONE, words=words, neighbours=np.zeros((20, 1), int)
        ),
        INFO,
        probability=probability,
        choices=choices,
        seed=[seed],
        device=torch.device("cpu"),
    )
    return [row.tolist() for row in made]


def test_every_word_and_nothing_else_becomes_another() -> None:
    rows = replaced(1.0)
    assert all(row[0] == 2 and row[-1] == 3 for row in rows)
    assert rows[2::3] == [[2, 3]] * 50
    assert all(row[2] == 15 for row in rows[0::3])
    drawn = [row[place] for row in rows[0::3] for place in (1, 3)]
    assert set(drawn) == {12, 13}
    assert drawn.count(12) / len(drawn) == pytest.approx(0.75, abs=0.1)
    assert rows[1::3] == [[2, 13, 3]] * 50  # not 12 again, though it is the likeliest


def test_one_choice_is_the_likeliest_other_and_no_probability_changes_nothing() -> None:
    rows = replaced(1.0, choices=1)
    assert rows[0::3] == [[2, 12, 15, 12, 3]] * 50
    assert rows[1::3] == [[2, 13, 3]] * 50
    assert replaced(0.0) == [row.tolist() for row in ROWS]


def test_without_another_word_nothing_is_replaced() -> None:
    only = np.arange(20) == 12
    assert replaced(1.0, words=only) == [row.tolist() for row in ROWS]


def test_the_beginning_of_a_word_of_two_pieces_is_no_word() -> None:
    rows = TokenRows.of([np.array([2, 10, 16, 11, 3], dtype=np.int32)], [0])
    assert replaced(1.0, choices=1, rows=rows) == [[2, 10, 16, 12, 3]]


def test_the_same_seed_draws_the_same() -> None:
    assert replaced(0.5, seed=1) == replaced(0.5, seed=1) != replaced(0.5, seed=2)


def test_an_encoder_without_the_head_is_refused(tiny_encoder: Path) -> None:
    with raises("masked-lm-head-missing", "cls.predictions.bias", "replace_with"):
        load_masked_lm(tiny_encoder)


def test_an_encoder_with_the_head_is_loaded(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    torch.manual_seed(0)
    saved = BertForMaskedLM(config).eval()
    saved.save_pretrained(tmp_path)
    loaded = load_masked_lm(tmp_path)
    ids = torch.tensor([[2, 4, 3]])
    torch.testing.assert_close(loaded(input_ids=ids).logits, saved(input_ids=ids).logits)
