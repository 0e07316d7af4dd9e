"""The label budget: how many labels training may see; the rest of its rows lose theirs."""

from collections.abc import Sequence

import numpy as np

from components.ingest.splits import arrays, mark
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.tables import Engine, literal


def take_budget(
    engine: Engine,
    labels: Sequence[str],
    budget: int | None,
    *,
    per_class: bool,
    seed: int,
    reporter: Reporter,
) -> None:
    """Move the training rows beyond the budget to the unlabelled ones, marked as withheld.

    Args:
        budget: labels in all, shared among the classes by their size (at least one each), or, with
            `per_class`, labels of each class. None keeps all.

    Raises:
        UserError: the budget is larger than the data, or smaller than the number of classes.
    """
    if budget is None:
        return
    training = "SELECT id FROM live WHERE split = 'train' AND label"
    ids = [arrays(engine, f"{training} = {literal(label)} ORDER BY id")[0] for label in labels]
    sizes = np.array([len(one) for one in ids])
    wanted = _per_class(sizes, labels, budget) if per_class else _shared(sizes, budget)
    draw = np.random.default_rng(seed)
    for rows, count in zip(ids, wanted, strict=True):
        beyond = draw.permutation(rows)[count:]
        mark(engine, beyond, "split = 'unlabelled', unlabelled = true, withheld = true")
    reporter.message(f"label budget: {sum(wanted)} of {sizes.sum()} training labels kept")


def _per_class(sizes: np.ndarray, labels: Sequence[str], budget: int) -> list[int]:
    smallest = int(sizes.argmin())
    if budget > sizes[smallest]:
        raise UserError(
            f"ingest.label_budget is {budget} per class, but class '{labels[smallest]}' has only "
            f"{sizes[smallest]} training rows",
            code="label-budget",
            hint=f"set ingest.label_budget to at most {sizes[smallest]}, or to null for all",
        )
    return [budget] * len(sizes)


def _shared(sizes: np.ndarray, budget: int) -> list[int]:
    """One label for each class, and the others in proportion by largest remainder."""
    if budget > sizes.sum():
        raise UserError(
            f"ingest.label_budget is {budget}, but there are only {sizes.sum()} labelled training "
            "rows",
            code="label-budget",
            hint="set ingest.label_budget to null to keep all",
        )
    if budget < len(sizes):
        raise UserError(
            f"ingest.label_budget is {budget}, less than one for each of {len(sizes)} classes",
            code="label-budget",
            hint=f"set ingest.label_budget to at least {len(sizes)}",
        )
    exact = sizes / sizes.sum() * budget
    shares = np.clip(np.floor(exact).astype(int), 1, None)
    while shares.sum() != budget:
        if shares.sum() < budget:
            open_classes = np.where(shares < sizes, exact - shares, -np.inf)
            shares[open_classes.argmax()] += 1
        else:  # raising small classes to one label took from the others
            shares[np.where(shares > 1, shares - exact, -np.inf).argmax()] -= 1
    return [int(share) for share in shares]
