"""AdamW by rows: against PyTorch's AdamW where every row comes, and where few do."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from decant.training.row_adamw import RowAdamW, clip_gradients


def tables(sparse: bool) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(6, 3, sparse=sparse), nn.Linear(3, 2))


def by_rows(model: nn.Sequential, **options: Any) -> RowAdamW:
    """The table by its rows, the rest as AdamW does it."""
    groups = [{"params": model[0].parameters(), "by_rows": True}, {"params": model[1].parameters()}]
    return RowAdamW(groups, **options)


def step(model: nn.Sequential, optimizer: torch.optim.Optimizer, ids: list[int]) -> None:
    optimizer.zero_grad()
    model(torch.tensor(ids)).square().sum().backward()
    optimizer.step()


def test_as_adamw_where_every_row_comes() -> None:
    own, reference = tables(sparse=True), tables(sparse=False)
    options = {"lr": 0.1, "weight_decay": 0.05, "betas": (0.8, 0.9)}
    own_steps = by_rows(own, **options)
    adamw = torch.optim.AdamW(reference.parameters(), **options)
    for ids in ([0, 1, 2, 3, 4, 5, 5, 1], [5, 4, 3, 2, 1, 0]):
        step(own, own_steps, ids)
        step(reference, adamw, ids)
    for one, other in zip(own.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("sparse", [True, False])
def test_rows_that_do_not_come_stay(sparse: bool) -> None:
    model = tables(sparse)
    optimizer = by_rows(model, lr=0.1, weight_decay=0.5)
    table = model[0].weight
    step(model, optimizer, [1, 2])
    before, momentum = table.detach().clone(), optimizer.state[table]["exp_avg"].clone()
    step(model, optimizer, [2])
    changed = (table != before).any(dim=1).tolist()
    assert changed == [False, False, True, False, False, False]
    assert torch.equal(optimizer.state[table]["exp_avg"][1], momentum[1])


def test_a_dense_gradient_gives_the_same_as_a_sparse_one() -> None:
    models = [tables(sparse) for sparse in (True, False)]
    for model in models:
        optimizer = by_rows(model, lr=0.1)
        for ids in ([1, 2], [2, 5, 5], [1]):
            step(model, optimizer, ids)
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(one, other)


def test_a_training_goes_on_from_its_state() -> None:
    whole, first = tables(sparse=True), tables(sparse=True)
    optimizers = [by_rows(model, lr=0.1) for model in (whole, first)]
    for model, optimizer in zip((whole, first), optimizers, strict=True):
        step(model, optimizer, [1, 2])
    resumed = copy.deepcopy(first)
    optimizer = by_rows(resumed, lr=0.1)
    optimizer.load_state_dict(optimizers[1].state_dict())
    step(whole, optimizers[0], [2, 3])
    step(resumed, optimizer, [2, 3])
    assert torch.equal(whole[0].weight, resumed[0].weight)


@pytest.mark.parametrize("longest", [0.1, 1000.0])
def test_clipping_takes_sparse_gradients_with_the_others(longest: float) -> None:
    own, reference = tables(sparse=True), tables(sparse=False)
    for model in (own, reference):
        model(torch.tensor([1, 1, 4])).square().sum().backward()
    length = clip_gradients(own.parameters(), longest)
    expected = nn.utils.clip_grad_norm_(reference.parameters(), longest)
    torch.testing.assert_close(length, expected)
    for one, other in zip(own.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one.grad.to_dense(), other.grad)
