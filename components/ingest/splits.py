"""Train, validation and test: given, or split off so that no group crosses them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from components.ingest.checks import GIVEN, label_sizes
from components.ingest.strata import (
    arrays,
    drawn_iteratively,
    have_one,
    make_strata,
    strata_matrix,
)
from decant.data.corpus import LABELLED_SPLITS
from decant.runtime.errors import UserError
from decant.tables import Engine
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of

# Beyond these the engine draws, which needs no memory for it: with so many rows chance alone keeps
# the shares of the classes, and balancing groups one by one would take hours.
MOST_ROWS_AT_ONCE = 1_000_000
MOST_GROUPS_AT_ONCE = 20_000


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How a split is drawn.

    Attributes:
        fraction: of the rows.
        kept: SQL conditions of rows that stay in training, with all of their groups.
        targets: whose strata keep their shares.
    """

    split: str
    fraction: float
    seed: int
    grouped: bool
    kept: Sequence[str]
    targets: Sequence[Declared]


def assign_splits(
    engine: Engine,
    *,
    test_fraction: float,
    validation_fraction: float,
    seed: int,
    grouped: bool,
    targets: Sequence[Declared],
    train_only: Sequence[str],
) -> None:
    """Give every labelled row its split: test first, then validation off the rest.

    A given split keeps its rows. Otherwise, stratified as strata.py has it: with groups the first
    fold of StratifiedGroupKFold with round(1 / fraction) folds, else a random draw of the fraction.

    Args:
        train_only: SQL conditions of rows whose classes are too small to be split.

    Raises:
        UserError: too few rows or groups to split, or a class without training rows after the
            split.
    """
    engine.run(f"UPDATE live SET split = role WHERE {GIVEN}")
    for split, fraction in (("test", test_fraction), ("validation", validation_fraction)):
        if engine.first(f"SELECT 1 FROM files WHERE role = '{split}'"):
            if engine.first(f"SELECT 1 FROM live WHERE split = '{split}'") is None:
                raise UserError(
                    f"ingest.{split} has no usable row",
                    code="rows-unusable",
                    hint="check its text and label columns",
                )
            continue
        draw = Draw(
            split=split,
            fraction=fraction,
            seed=seed,
            grouped=grouped,
            kept=train_only,
            targets=targets,
        )
        _hold_out(engine, draw)
    engine.run("UPDATE live SET split = 'train' WHERE split IS NULL AND NOT unlabelled")
    require_training_rows(engine, targets)
    _require_labels(engine, targets)


def require_training_rows(engine: Engine, targets: Sequence[Declared]) -> None:
    """Raises UserError for a class that has no training row."""
    for target in targets:
        each = rows_of(target).each_label(target.sql)
        train = engine.all(f"SELECT DISTINCT label FROM ({each}) WHERE split = 'train'")
        found = {label for (label,) in train}
        if lacking := [label for label in target.labels or () if label not in found]:
            raise _no_training_row(engine, lacking[0])


def _no_training_row(engine: Engine, label: str) -> UserError:
    given = {role for (role,) in engine.all(f"SELECT DISTINCT role FROM files WHERE {GIVEN}")}
    near = engine.all("SELECT count(*) FROM rejected WHERE kind = 'near_duplicate'")[0][0]
    if near:
        hint = "set ingest.near_duplicates to report, or give more rows of that class"
    elif len(given) == 2:
        hint = "all its rows repeat a validation or test row: give others, or list ingest.labels"
    else:
        hint = (
            "give more rows of that class, another ingest.split_seed, or set ingest.rare_classes "
            "to train_only with a larger ingest.min_rows_per_class"
        )
    return UserError(f"class '{label}' has no row left for training", code="class-empty", hint=hint)


def _require_labels(engine: Engine, targets: Sequence[Declared]) -> None:
    """Raises UserError for a split without a label of one of several targets."""
    for target in targets:
        known = engine.all(f"SELECT DISTINCT split FROM live WHERE {target.sql} IS NOT NULL")
        for split in LABELLED_SPLITS:
            if (split,) not in known:
                raise UserError(
                    f"the {split} split has no label of target '{target.name}' (column "
                    f"'{target.column}')",
                    code="split-empty",
                    hint="give more labels of that target, or another ingest.split_seed",
                )


def mark(engine: Engine, ids: NDArray[np.int64], change: str) -> None:
    """Change the rows of `live` with these ids, such as "split = 'test'"."""
    marked = pa.table({"id": pa.array(ids)})
    engine.connection.register("marked", marked)
    engine.run(f"UPDATE live SET {change} FROM marked WHERE live.id = marked.id")
    engine.connection.unregister("marked")


def _hold_out(engine: Engine, draw: Draw) -> None:
    pool = "role = 'source' AND NOT unlabelled AND split IS NULL"
    if draw.kept:
        kept = f"coalesce({' OR '.join(draw.kept)}, false)"
        pool += f" AND NOT {kept}"
        if draw.grouped:
            theirs = f"SELECT grp FROM live WHERE {kept} AND grp IS NOT NULL"
            pool += f" AND coalesce(grp NOT IN ({theirs}), true)"
    rows_in = make_strata(engine, draw.targets, pool)
    # A row without a group is its own group.
    engine.run(
        f"""
        CREATE OR REPLACE TABLE pool AS
        WITH codes AS (
            SELECT label, row_number() OVER (ORDER BY label) - 1 AS code
            FROM (SELECT DISTINCT label FROM {rows_in})
        )
        SELECT id, code AS label,
            {"coalesce('g' || grp, 'i' || id)" if draw.grouped else "NULL"} AS grp
        FROM {rows_in} JOIN codes USING (label)
        """
    )
    ((rows, groups),) = engine.all("SELECT count(*), count(DISTINCT grp) FROM pool")
    if draw.grouped:
        _hold_out_groups(engine, draw, groups)
    elif rows > MOST_ROWS_AT_ONCE or not _hold_out_rows(engine, draw):
        _hold_out_every_nth(engine, draw)
    engine.run("DROP TABLE pool; DROP TABLE IF EXISTS strata")


def _hold_out_rows(engine: Engine, draw: Draw) -> bool:
    """Whether a draw with the share of every stratum was possible."""
    if have_one(draw.targets):
        drawn = _stratified_draw(engine, draw)
    else:
        drawn = _iterative_draw(engine, draw)
    if drawn is None:
        return False
    mark(engine, drawn, f"split = '{draw.split}'")
    return True


def _stratified_draw(engine: Engine, draw: Draw) -> NDArray[np.int64] | None:
    ids, labels = arrays(engine, "SELECT id, label FROM pool ORDER BY id")
    try:
        _, drawn = train_test_split(
            ids, test_size=draw.fraction, random_state=draw.seed, stratify=labels
        )
    except ValueError:
        return None
    return np.asarray(drawn)


def _iterative_draw(engine: Engine, draw: Draw) -> NDArray[np.int64] | None:
    found = strata_matrix(engine)
    if found is None:
        return None
    ids, matrix = found
    drawn = drawn_iteratively(matrix, draw.fraction, draw.seed)
    return None if drawn is None else ids[drawn]


def _hold_out_every_nth(engine: Engine, draw: Draw) -> None:
    """Every n-th row, sorted by class, in random order within a class.

    This is possible however small a class is, and needs no memory.
    """
    ((rows,),) = engine.all("SELECT count(*) FROM pool")
    if rows * draw.fraction < 1 or rows < 2:
        raise _cannot_split(engine, draw, "it would have no row")
    order = f"md5_number_lower({draw.seed} || '{draw.split}' || id)"
    engine.run(
        f"""
        UPDATE live SET split = '{draw.split}' FROM (
            SELECT id, row_number() OVER (ORDER BY label, {order}, id) AS place FROM pool
        ) AS ordered
        WHERE live.id = ordered.id
            AND floor(place * {draw.fraction}) > floor((place - 1) * {draw.fraction})
        """
    )


def _hold_out_groups(engine: Engine, draw: Draw, groups: int) -> None:
    if groups > MOST_GROUPS_AT_ONCE:
        _hold_out_random_groups(engine, draw)
        return
    ids, labels, members = arrays(
        engine,
        "SELECT id, label, dense_rank() OVER (ORDER BY first) - 1 FROM "
        "(SELECT *, min(id) OVER (PARTITION BY grp) AS first FROM pool) ORDER BY id",
    )
    folds = StratifiedGroupKFold(round(1 / draw.fraction), shuffle=True, random_state=draw.seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # classes with fewer rows than folds
            _, drawn = next(folds.split(np.zeros(len(ids)), labels, members))
    except ValueError as error:
        raise _cannot_split(engine, draw, str(error)) from None
    mark(engine, ids[drawn], f"split = '{draw.split}'")


def _hold_out_random_groups(engine: Engine, draw: Draw) -> None:
    """Groups in random order until they have the fraction of the rows."""
    order = f"md5_number_lower({draw.seed} || '{draw.split}' || grp)"
    engine.run(
        f"""
        CREATE OR REPLACE TABLE chosen AS SELECT grp FROM (
            SELECT grp, sum(rows) OVER (ORDER BY {order}, grp) - rows AS before
            FROM (SELECT grp, count(*) AS rows FROM pool GROUP BY grp)
        ) WHERE before < {draw.fraction} * (SELECT count(*) FROM pool)
        """
    )
    engine.run(
        f"UPDATE live SET split = '{draw.split}' FROM pool JOIN chosen USING (grp) "
        "WHERE live.id = pool.id"
    )


def _cannot_split(engine: Engine, draw: Draw, problem: str) -> UserError:
    sizes = {
        label: rows for one in draw.targets for label, rows in label_sizes(engine, one).items()
    }
    rarest = min(sizes.items(), key=lambda item: item[1], default=None)
    smallest = f"; smallest class: '{rarest[0]}' with {rarest[1]}" if rarest else ""
    ((rows,),) = engine.all("SELECT count(*) FROM pool")
    what = "groups" if draw.grouped else "rows"
    return UserError(
        f"the {draw.split} split cannot be made from {rows} rows{smallest}: {problem}",
        code="split-impossible",
        hint=f"give more {what}, or give ingest.{draw.split} as a file",
    )
