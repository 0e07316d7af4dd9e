"""Where BERT's weights go in the student's table, against values computed by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA

from components.transfer_weights.embeddings import (
    contextual_embeddings,
    input_embeddings,
    project,
    side_by_side,
    token_weights,
)
from components.transfer_weights.student_vocabulary import Pruning, kept_ids, occurrences
from decant.models.encoder import load_encoder

NONE = np.zeros(6, dtype=np.int64)


def table_of(rows: int, hidden: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(0).normal(size=(rows, hidden)).astype(np.float32)


def test_a_wider_student_gets_zeros_behind_berts_columns() -> None:
    table = table_of(6, 4)
    projected, projection = project(table, 7, method="pca", std=1.0, counts=NONE)
    scale = projected[0, 0] / table[0, 0]
    np.testing.assert_allclose(projected[:, :4], table * scale, rtol=1e-5)
    assert not projected[:, 4:].any()
    assert projection.into.shape == (4, 7)
    assert projection.explained_variance == 1.0
    np.testing.assert_allclose(projected @ projection.back, table, atol=1e-5)


def test_truncation_keeps_the_first_columns() -> None:
    table = table_of(6, 4)
    projected, _ = project(table, 2, method="truncate", std=1.0, counts=NONE)
    np.testing.assert_allclose(projected / projected[0, 0], table[:, :2] / table[0, 0], rtol=1e-4)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (1, [0]),
        (3, [0, 1, 3]),  # the odd one is the first table's
        (4, [0, 1, 3, 4]),
        (7, [0, 1, 2, 3, 4, 5, 6]),  # which has no fourth
        (8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (10, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_truncation_keeps_half_of_each_of_two_tables(width: int, columns: list[int]) -> None:
    """Of tables 3 and 5 wide, side by side."""
    table = table_of(6, 8)
    projected, projection = project(
        table, width, method="truncate", std=None, counts=NONE, first_columns=3
    )
    np.testing.assert_array_equal(projected[:, : len(columns)], table[:, columns])
    assert not projected[:, len(columns) :].any()
    expected = np.zeros((8, width))
    expected[columns, range(len(columns))] = 1
    np.testing.assert_array_equal(projection.into, expected)
    np.testing.assert_array_equal(projection.back, expected.T)


def test_pca_without_counts_is_scikit_learns_up_to_sign_and_scale() -> None:
    table = table_of(50, 8)
    counts = np.zeros(50, dtype=np.int64)
    projected, projection = project(table, 3, method="pca", std=0.5, counts=counts)
    reference = PCA(3).fit(table)
    expected = reference.transform(table)
    for column in range(3):
        correlation = np.corrcoef(projected[:, column], expected[:, column])[0, 1]
        assert abs(correlation) == pytest.approx(1, abs=1e-5)
    assert projection.explained_variance == pytest.approx(
        reference.explained_variance_ratio_.sum(), rel=1e-5
    )
    np.testing.assert_allclose(projection.back @ projection.into, np.eye(3), atol=1e-5)
    mapped = (table - projection.offset) @ projection.into
    np.testing.assert_allclose(projected, mapped, atol=1e-5)
    assert np.sqrt(projected.var(axis=0).mean()) == pytest.approx(0.5, rel=1e-5)


def test_counts_weigh_as_repeated_rows_would() -> None:
    table = table_of(4, 3)
    counts = np.array([3, 1, 0, 2])
    weighted, direction = project(table, 1, method="pca", std=1.0, counts=counts)
    repeated = np.repeat(table, counts, axis=0)
    _, expected = project(repeated, 1, method="pca", std=1.0, counts=np.zeros(6, np.int64))
    np.testing.assert_allclose(direction.into, expected.into, atol=1e-5)
    assert weighted.shape == (4, 1)  # tokens that never occur get an embedding too


def test_contextual_embeddings_are_the_states_of_single_tokens(tiny_encoder: Path) -> None:
    encoder = load_encoder(tiny_encoder)
    ids = np.array([5, 9, 20])
    got = contextual_embeddings(
        encoder,
        ids,
        cls_id=2,
        sep_id=3,
        device=torch.device("cpu"),
        bfloat16=False,
        batch_size=2,
    )
    with torch.inference_mode():
        for row, token in zip(got, ids, strict=True):
            one = torch.tensor([[2, int(token), 3]])
            state = encoder(input_ids=one, attention_mask=torch.ones_like(one)).last_hidden_state
            np.testing.assert_allclose(row, state[0, 1].numpy(), atol=1e-5)


def test_the_encoder_comes_back_from_the_device(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, moves = load_encoder(tiny_encoder), []
    move = encoder.to
    monkeypatch.setattr(encoder, "to", lambda where: moves.append(str(where)) or move("cpu"))
    contextual_embeddings(
        encoder,
        np.array([5]),
        cls_id=2,
        sep_id=3,
        device=torch.device("cpu", 0),
        bfloat16=False,
    )
    assert moves == ["cpu:0", "cpu"]


def test_input_embeddings_are_berts_own_table(tiny_encoder: Path) -> None:
    encoder = load_encoder(tiny_encoder)
    table = input_embeddings(encoder)
    expected = dict(encoder.named_parameters())["embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(table, expected.detach().numpy())


def test_pruning_keeps_special_ids_and_what_occurs_often_enough() -> None:
    vocabulary = pd.DataFrame(
        {
            "token_id": range(6),
            "piece": list("abcdef"),
            "count_train": [0, 0, 1, 0, 5, 0],
            "count_unlabelled": [0, 0, 1, 3, 0, 0],
        }
    )
    tokenizer = {"model": {"type": "WordLevel"}}  # of which no other piece has to stay
    for least, expected in ((2, [0, 2, 3, 4]), (0, list(range(6)))):
        pruning = Pruning(min_count=least, max_size=None, special_ids=(0,))
        assert kept_ids(vocabulary, pruning, tokenizer).tolist() == expected
    assert occurrences(vocabulary, np.array([4, 2])).tolist() == [5, 2]


def test_sif_and_zipf_weights_by_hand() -> None:
    counts = np.array([6, 0, 2, 2])
    sif = token_weights(counts, "sif", sif_coefficient=0.1)
    np.testing.assert_allclose(sif, [0.1 / 0.7, 1.0, 0.1 / 0.3, 0.1 / 0.3], rtol=1e-6)
    zipf = token_weights(counts, "zipf", sif_coefficient=0.1)
    np.testing.assert_allclose(zipf, np.log([2, 5, 3, 4]), rtol=1e-6)
    assert token_weights(counts, "none", sif_coefficient=0.1).tolist() == [1, 1, 1, 1]


def test_weights_multiply_the_projected_rows_and_leave_the_map() -> None:
    table = table_of(6, 4)
    weights = np.array([1, 2, 3, 1, 1, 0.5], dtype=np.float32)
    plain, _ = project(table, 2, method="pca", std=None, counts=NONE)
    weighted, projection = project(
        table, 2, method="pca", std=None, counts=NONE, row_weights=weights
    )
    np.testing.assert_allclose(weighted, plain * weights[:, None], rtol=1e-5)
    mapped = (table - projection.offset) @ projection.into
    np.testing.assert_allclose(mapped, plain, atol=1e-5)


@pytest.mark.parametrize("other_width", [4, 6])
def test_both_tables_weigh_the_same_and_the_first_ones_space_is_found_again(
    other_width: int,
) -> None:
    whole = 4 + other_width
    one, other = table_of(12, 4) * 100, table_of(12, 7)[:, :other_width]
    counts = np.zeros(12, dtype=np.int64)
    joined, scale = side_by_side(one, other, counts)
    assert joined.shape == (12, whole)
    assert joined[:, :4].var(axis=0).sum() == pytest.approx(1, rel=1e-4)
    assert joined[:, 4:].var(axis=0).sum() == pytest.approx(1, rel=1e-4)
    projected, projection = project(joined, whole, method="pca", std=0.5, counts=counts)
    space = projection.of_block(4, scale)
    np.testing.assert_allclose(projected @ space.back + space.offset, one, rtol=1e-4)
    assert space.into.shape == (4, whole)
    narrower, projection = project(joined, whole - 1, method="pca", std=0.5, counts=counts)
    space = projection.of_block(4, scale)
    lost = np.abs(narrower @ space.back + space.offset - one) / np.abs(one)
    assert lost.max() > 0.01  # though still wider than the first table
