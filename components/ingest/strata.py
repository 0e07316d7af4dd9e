"""What splits and budget keep the shares of: the strata of rows.

A class is one stratum; so is a tenth of the rows by their number. A row with several labels, or
with labels of several targets, is in as many strata, whose shares are kept together: iterative
stratification (Sechidis et al. 2011, "On the stratification of multi-label data"), by the package
iterative-stratification. Where a row must have one stratum, it is the rarest of them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.tables import Engine
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of

# Beyond this the engine draws: a byte per row and stratum, and a second for each 100,000 rows.
MOST_CELLS_AT_ONCE = 20_000_000


def have_one(targets: Sequence[Declared]) -> bool:
    """Whether every row has exactly one stratum."""
    return len(targets) == 1 and rows_of(targets[0]).ONE_STRATUM


def make_strata(engine: Engine, targets: Sequence[Declared], where: str) -> str:
    """A relation of rows of `live`: id, label (the row's one stratum) and grp.

    Where rows may have several, a table `strata` has them: id, code, from 0.
    """
    if have_one(targets):
        stratum = rows_of(targets[0]).strata(engine, targets[0].sql)
        return f"(SELECT id, {stratum} AS label, grp FROM live WHERE {where})"
    lists = " || ".join(_named(engine, number, one) for number, one in enumerate(targets))
    engine.run(
        f"""
        CREATE OR REPLACE TABLE strata AS
        WITH each AS (SELECT id, unnest({lists}) AS stratum FROM live WHERE {where}),
        codes AS (
            SELECT stratum, count(*) AS rows, row_number() OVER (ORDER BY stratum) - 1 AS code
            FROM each GROUP BY stratum
        )
        SELECT id, code, rows FROM each JOIN codes USING (stratum)
        """
    )
    return (
        "(SELECT live.id, one AS label, grp FROM live JOIN "
        "(SELECT id, arg_min(code, (rows, code)) AS one FROM strata GROUP BY id) USING (id))"
    )


def arrays(engine: Engine, query: str) -> list[NDArray[np.int64]]:
    """The columns of whole numbers that a query gives, in its order."""
    table = engine.connection.sql(query).to_arrow_table()
    return [column.to_numpy().astype(np.int64) for column in table.columns]


def strata_matrix(engine: Engine) -> tuple[NDArray[np.int64], NDArray[np.bool_]] | None:
    """The ids in `strata`, (rows,), and which of the strata a row has, (rows, strata).

    None where that is too much at once.
    """
    ((rows, strata),) = engine.all("SELECT count(DISTINCT id), count(DISTINCT code) FROM strata")
    if rows * strata > MOST_CELLS_AT_ONCE:
        return None
    of, codes = arrays(engine, "SELECT id, code FROM strata ORDER BY id, code")
    ids, places = np.unique(of, return_inverse=True)
    matrix = np.zeros((rows, strata), dtype=bool)
    matrix[places, codes] = True
    return ids, matrix


def drawn_iteratively(
    matrix: NDArray[np.bool_], size: float | int, seed: int
) -> NDArray[np.int64] | None:
    """Places of rows drawn with about the share of every stratum; None where none can be drawn.

    Args:
        matrix: which of the strata a row has, (rows, strata).
        size: the share of the rows, or their number, which is kept roughly.
    """
    # Loaded here, since classes do without it.
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    if matrix.shape[1] < 2:
        return None
    splitter: Any = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
    try:
        _, drawn = next(splitter.split(matrix, matrix))
    except ValueError:
        return None
    return np.asarray(drawn, dtype=np.int64) if len(drawn) else None


def _named(engine: Engine, number: int, target: Declared) -> str:
    """SQL of the list of a target's strata, none where its label is unknown."""
    kind = rows_of(target)
    strata = kind.strata(engine, target.sql)
    listed = f"[{strata}]" if kind.ONE_STRATUM else strata
    return (
        f"CASE WHEN {target.sql} IS NULL THEN []::VARCHAR[] "
        f"ELSE list_transform({listed}, lambda one: '{number} ' || one) END"
    )
