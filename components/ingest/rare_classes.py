"""Classes with too few rows to be split: refused, dropped, or kept for training alone."""

from collections.abc import Sequence
from dataclasses import replace

from components.ingest.checks import GIVEN, label_sizes
from components.ingest.contract import RareClasses
from components.ingest.rows import reject
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.tables import Engine
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of

_SHOWN = 5


def settle_rare_classes(
    engine: Engine,
    targets: Sequence[Declared],
    min_rows: int | None,
    policy: RareClasses,
    reporter: Reporter,
) -> tuple[list[Declared], list[str]]:
    """The targets with the labels that stay, and SQL conditions of the rows that only train.

    Args:
        min_rows: a class with fewer is rare; None: one for training and each split that is made.

    Raises UserError where the policy is to refuse and a class is too small, or too few would stay.
    """
    if min_rows is None:
        given = engine.all(f"SELECT DISTINCT role FROM files WHERE {GIVEN}")
        min_rows = 3 - len(given)
    settled, train_only = [], []
    for target in targets:
        rare = [one for one, rows in label_sizes(engine, target).items() if rows < min_rows]
        if not rare:
            settled.append(target)
            continue
        what = _words(engine, target, rare, min_rows)
        if policy == "refuse":
            raise UserError(
                what,
                code="classes-rare",
                hint="add rows; or set ingest.rare_classes to train_only (they are trained, not "
                "tested) or to drop (their rows are rejected); ingest.min_rows_per_class is the "
                "limit",
            )
        if policy == "train_only":
            reporter.warning(f"{what}; they are trained, but neither validated nor tested")
            train_only.append(rows_of(target).has_any(target.sql, rare))
            settled.append(target)
        else:
            settled.append(_without(engine, target, rare, min_rows, what, reporter))
    return settled, train_only


def _words(engine: Engine, target: Declared, rare: Sequence[str], min_rows: int) -> str:
    sizes = label_sizes(engine, target)
    shown = ", ".join(f"'{label}' ({sizes[label]})" for label in rare[:_SHOWN])
    more = f" and {len(rare) - _SHOWN} more" if len(rare) > _SHOWN else ""
    return (
        f"{len(rare)} class{'es have' if len(rare) > 1 else ' has'} fewer than {min_rows} rows "
        f"in ingest.source: {shown}{more}"
    )


def _without(
    engine: Engine,
    target: Declared,
    rare: Sequence[str],
    min_rows: int,
    what: str,
    reporter: Reporter,
) -> Declared:
    """Reject the rows of rare classes; of rows that can have other labels, take the rare ones."""
    kind, name = rows_of(target), target.sql
    rest, has_rare = kind.without(name, rare), kind.has_any(name, rare)
    if rest is None:
        outside = kind.outside(name, [one for one in target.labels or () if one not in rare])
        reject(
            engine,
            "rare_class",
            f"SELECT id, 'class ''' || {outside} || ''' has fewer than {min_rows} rows' AS reason "
            f"FROM live WHERE {has_rare}",
        )
        reporter.warning(f"{what}; their rows were rejected")
    else:
        engine.run(f"UPDATE live SET {name} = {rest} WHERE {has_rare}")
        reporter.warning(f"{what}; their rows lost these labels and stay")
    left = tuple(label for label in target.labels or () if label not in rare)
    if len(left) < 2:
        raise UserError(
            f"{len(left)} class{'' if len(left) == 1 else 'es'} left: {what}",
            code="class-single",
            hint="lower ingest.min_rows_per_class, or add rows",
        )
    return replace(target, labels=left)
