"""Texts that occur more than once, and rows that would leak a given split or a held-out one.

Two texts are the same when they differ only in case and white space.
"""

from collections.abc import Sequence

from components.ingest.checks import GIVEN
from components.ingest.rows import ROW_ID, reject
from decant.runtime.reporter import Reporter
from decant.tables import Engine
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of

_SOURCE = "role = 'source' AND NOT unlabelled"
_HELD_OUT = "split IN ('validation', 'test')"
_FREE = "unlabelled AND NOT withheld"


def drop_groups_of_given_splits(engine: Engine, reporter: Reporter) -> None:
    """Reject labelled rows of the source whose group is in a given split.

    Given splits without the group column have no groups, so nothing is rejected.
    """
    if engine.first(f"SELECT 1 FROM live WHERE {GIVEN} AND grp IS NOT NULL") is None:
        return
    dropped = _reject_groups(engine, _SOURCE, GIVEN, "role")
    reporter.metric("group_leaks_dropped_for_given_splits", dropped)
    if dropped:
        reporter.warning(
            f"given splits: {dropped} training rows belong to a group of a validation or test row "
            "and were dropped"
        )


def drop_duplicates(engine: Engine, targets: Sequence[Declared], reporter: Reporter) -> None:
    """Reject labelled rows of the source whose text is in a given split or earlier in the source.

    Given splits are kept as they are; repeats within them are only reported.
    """
    ((given, distinct),) = engine.all(
        f"SELECT count(*), count(DISTINCT key) FROM live WHERE {GIVEN}"
    )
    if given:
        repeated = given - distinct
        reporter.metric("duplicates_kept_in_given_splits", repeated)
        dropped = _reject_known(engine, targets, _SOURCE, GIVEN)
        reporter.metric("duplicates_dropped_for_given_splits", dropped)
        if repeated or dropped:
            reporter.warning(
                f"given splits: {dropped} training rows repeat a validation or test text and were "
                f"dropped; {repeated} repeats within validation and test were kept as given"
            )
    _reject_known(engine, targets, _SOURCE, _SOURCE)


def drop_unlabelled_leaks(engine: Engine) -> None:
    """Reject unlabelled rows that have a text or a group of validation or test."""
    _reject_groups(engine, _FREE, _HELD_OUT, "split")
    _reject_known(engine, (), _FREE, _HELD_OUT, "leak", "leak: same text as ")


def drop_unlabelled_duplicates(engine: Engine) -> None:
    """Reject unlabelled rows that repeat a training text or one another."""
    known = "split = 'train' OR withheld"
    _reject_known(engine, (), _FREE, known)
    _reject_known(engine, (), _FREE, _FREE)


def _reject_groups(engine: Engine, where: str, known: str, split: str) -> int:
    """Reject rows whose group is that of a known row; returns how many."""
    return reject(
        engine,
        "leak",
        f"""
        WITH known AS (
            SELECT grp, arg_min({split}, id) AS its_split FROM live
            WHERE ({known}) AND grp IS NOT NULL GROUP BY grp
        )
        SELECT live.id, 'leak: group ''' || grp || ''' is in the split ' || its_split AS reason
        FROM live JOIN known USING (grp) WHERE {where}
        """,
    )


def _reject_known(
    engine: Engine,
    targets: Sequence[Declared],
    where: str,
    known: str,
    kind: str = "duplicate",
    prefix: str = "duplicate of ",
) -> int:
    """Reject rows whose text is that of a known row, except the first itself; returns how many.

    Args:
        targets: whose labels are compared: a reason says where the two rows contradict each other.
    """
    names = [target.sql for target in targets]
    firsts = "".join(f", arg_min_null({name}, id) AS its_{name}" for name in names)
    columns = "".join(f", live.{name}, known.its_{name}" for name in names)
    differences = "".join(_difference(target, targets) for target in targets)
    return reject(
        engine,
        kind,
        f"""
        WITH known AS (
            SELECT key, min(id) AS first{firsts} FROM live WHERE {known} GROUP BY key
        ), twins AS (
            SELECT live.id, known.first{columns}
            FROM live JOIN known USING (key) WHERE {where} AND live.id != known.first
        )
        SELECT twins.id, '{prefix}' || {ROW_ID}{differences} AS reason
        FROM twins JOIN rows ON rows.id = twins.first JOIN files USING (file)
        """,
    )


def _difference(target: Declared, targets: Sequence[Declared]) -> str:
    """SQL that goes on with a reason where a label is not that of the row that is kept."""
    shown, mine, its = rows_of(target).shown, f"twins.{target.sql}", f"its_{target.sql}"
    what = "label" if len(targets) == 1 else f"label of {target.name}"
    return f""" || CASE WHEN {mine} != {its}
            THEN printf(', whose {what} is ''%s'', not ''%s''', {shown(its)}, {shown(mine)})
            {_lost(mine, its, target) if len(targets) > 1 else ""} ELSE '' END"""


def _lost(mine: str, its: str, target: Declared) -> str:
    return f"WHEN {mine} IS NOT NULL AND {its} IS NULL THEN ', which has no label of {target.name}'"
