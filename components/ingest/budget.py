"""The label budget: how many labels training may see; the rest of its rows lose theirs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.ingest.splits import mark
from components.ingest.strata import arrays, drawn_iteratively, have_one, make_strata, strata_matrix
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.tables import Engine, literal
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of

_TRAINING = "split = 'train'"


def take_budget(
    engine: Engine,
    targets: Sequence[Declared],
    budget: int | None,
    *,
    per_class: bool,
    seed: int,
    reporter: Reporter,
) -> None:
    """Move the training rows beyond the budget to the unlabelled ones, marked as withheld.

    Args:
        budget: rows with labels in all, shared among the classes by their size (at least one each),
            or, with `per_class`, of each class. None keeps all.

    Raises:
        UserError: the budget is larger than the data, or smaller than the number of classes.
    """
    if budget is None:
        return
    draw = np.random.default_rng(seed)
    if per_class and not any(rows_of(target).HAS_LABELS for target in targets):
        raise UserError(
            "ingest.label_budget_per_class is true, but there are no classes",
            code="parameter-conflict",
            hint="set it to false: the budget is of the numbers in all",
        )
    if have_one(targets):
        beyond, kept, rows = _beyond_of_one_stratum(engine, targets[0], budget, per_class, draw)
    else:
        beyond, kept, rows = _beyond_of_many(engine, targets, budget, per_class, seed, draw)
    for ids in beyond:
        mark(engine, ids, "split = 'unlabelled', unlabelled = true, withheld = true")
    reporter.message(f"label budget: {kept} of {rows} training labels kept")


def _beyond_of_one_stratum(
    engine: Engine, target: Declared, budget: int, per_class: bool, draw: np.random.Generator
) -> tuple[list[NDArray[np.int64]], int, int]:
    """Ids beyond the budget, how many rows are kept, and how many there are."""
    relation = make_strata(engine, [target], _TRAINING)
    has_labels = rows_of(target).HAS_LABELS
    if has_labels:
        strata = list(target.labels or ())
    else:
        found = engine.all(f"SELECT DISTINCT label FROM {relation} ORDER BY label")
        strata = [stratum for (stratum,) in found]
    query = f"SELECT id FROM {relation} WHERE label"
    ids = [arrays(engine, f"{query} = {literal(one)} ORDER BY id")[0] for one in strata]
    if not has_labels and budget < len(strata):  # too few for a number of each tenth
        ids = [np.sort(np.concatenate(ids))]
    sizes = np.array([len(one) for one in ids])
    wanted = _per_class(sizes, strata, budget) if per_class else _shared(sizes, budget)
    beyond = [draw.permutation(rows)[count:] for rows, count in zip(ids, wanted, strict=True)]
    return beyond, sum(wanted), int(sizes.sum())


def _beyond_of_many(
    engine: Engine,
    targets: Sequence[Declared],
    budget: int,
    per_class: bool,
    seed: int,
    draw: np.random.Generator,
) -> tuple[list[NDArray[np.int64]], int, int]:
    """As `_beyond_of_one_stratum`; every stratum keeps a row."""
    if per_class:
        sizes, members = _members(engine, targets)
    else:
        make_strata(engine, targets, _TRAINING)
        sizes, members = {}, _members_of_strata(engine)
    (everything,) = arrays(engine, f"SELECT id FROM live WHERE {_TRAINING} ORDER BY id")
    if per_class:
        names = list(sizes)
        _per_class(np.array(list(sizes.values())), names, budget)
        kept = _enough_of_each(members, budget, draw)
    else:
        _refuse_beyond(len(everything), budget)
        kept = _drawn(engine, everything, members, budget, seed, draw)
    engine.run("DROP TABLE IF EXISTS strata")
    return [np.setdiff1d(everything, kept)], len(kept), len(everything)


def _members(
    engine: Engine, targets: Sequence[Declared]
) -> tuple[dict[str, int], list[NDArray[np.int64]]]:
    """Ids of the training rows of every label of every target, and how many they are."""
    sizes, members = {}, []
    for target in targets:
        for label in target.labels or ():
            has = rows_of(target).has_any(target.sql, [label])
            (ids,) = arrays(engine, f"SELECT id FROM live WHERE {_TRAINING} AND {has} ORDER BY id")
            sizes[label if len(targets) == 1 else f"{target.name}.{label}"] = len(ids)
            members.append(ids)
    return sizes, members


def _members_of_strata(engine: Engine) -> list[NDArray[np.int64]]:
    ids, codes = arrays(engine, "SELECT id, code FROM strata ORDER BY code, id")
    return np.split(ids, np.flatnonzero(np.diff(codes)) + 1)


def _enough_of_each(
    members: Sequence[NDArray[np.int64]],
    budget: int,
    draw: np.random.Generator,
    first: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Rows with at least `budget` of each; rare ones first, which bring others with them.

    Args:
        first: rows that are taken before others.
    """
    kept = np.zeros(0, dtype=np.int64)
    for ids in sorted(members, key=len):
        lacking = budget - np.isin(ids, kept).sum()
        if lacking > 0:
            free = draw.permutation(np.setdiff1d(ids, kept))
            if first is not None:
                free = free[np.argsort(~np.isin(free, first), kind="stable")]
            kept = np.union1d(kept, free[:lacking])
    return kept


def _drawn(
    engine: Engine,
    everything: NDArray[np.int64],
    members: Sequence[NDArray[np.int64]],
    budget: int,
    seed: int,
    draw: np.random.Generator,
) -> NDArray[np.int64]:
    """Exactly `budget` rows with about the share of every stratum, and a row of each."""
    found = strata_matrix(engine) if budget < len(everything) else None
    places = None if found is None else drawn_iteratively(found[1], budget, seed)
    if found is None or places is None:
        rough = draw.permutation(everything)[:budget]
    else:
        rough = found[0][places]
    needed = _enough_of_each(members, 1, draw, rough)
    if len(needed) > budget:
        raise UserError(
            f"ingest.label_budget is {budget}, but one row of each of {len(members)} labels makes "
            f"{len(needed)} rows",
            code="label-budget",
            hint=f"set ingest.label_budget to at least {len(needed)}",
        )
    more = draw.permutation(np.setdiff1d(rough, needed))
    others = draw.permutation(np.setdiff1d(everything, np.union1d(rough, needed)))
    return np.union1d(needed, np.concatenate([more, others])[: budget - len(needed)])


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
    _refuse_beyond(int(sizes.sum()), budget)
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


def _refuse_beyond(rows: int, budget: int) -> None:
    if budget > rows:
        raise UserError(
            f"ingest.label_budget is {budget}, but there are only {rows} labelled training rows",
            code="label-budget",
            hint="set ingest.label_budget to null to keep all",
        )
