"""Texts that occur more than once, and rows that would leak a given split or a held-out one.

Two texts are the same when they differ only in case and white space.
"""

from components.ingest.checks import GIVEN
from components.ingest.rows import ROW_ID, reject
from decant.runtime.reporter import Reporter
from decant.tables import Engine

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


def drop_duplicates(engine: Engine, reporter: Reporter) -> None:
    """Reject labelled rows of the source whose text is in a given split or earlier in the source.

    Given splits are kept as they are; repeats within them are only reported.
    """
    ((given, distinct),) = engine.all(
        f"SELECT count(*), count(DISTINCT key) FROM live WHERE {GIVEN}"
    )
    if given:
        repeated = given - distinct
        reporter.metric("duplicates_kept_in_given_splits", repeated)
        dropped = _reject_known(engine, _SOURCE, GIVEN, "duplicate", "duplicate of ")
        reporter.metric("duplicates_dropped_for_given_splits", dropped)
        if repeated or dropped:
            reporter.warning(
                f"given splits: {dropped} training rows repeat a validation or test text and were "
                f"dropped; {repeated} repeats within validation and test were kept as given"
            )
    _reject_known(engine, _SOURCE, _SOURCE, "duplicate", "duplicate of ")


def drop_unlabelled_leaks(engine: Engine) -> None:
    """Reject unlabelled rows that have a text or a group of validation or test."""
    _reject_groups(engine, _FREE, _HELD_OUT, "split")
    _reject_known(engine, _FREE, _HELD_OUT, "leak", "leak: same text as ")


def drop_unlabelled_duplicates(engine: Engine) -> None:
    """Reject unlabelled rows that repeat a training text or one another."""
    known = "split = 'train' OR withheld"
    _reject_known(engine, _FREE, known, "duplicate", "duplicate of ")
    _reject_known(engine, _FREE, _FREE, "duplicate", "duplicate of ")


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


def _reject_known(engine: Engine, where: str, known: str, kind: str, prefix: str) -> int:
    """Reject rows whose text is that of a known row, except the first itself; returns how many."""
    return reject(
        engine,
        kind,
        f"""
        WITH known AS (
            SELECT key, min(id) AS first, arg_min_null(label, id) AS its_label
            FROM live WHERE {known} GROUP BY key
        ), twins AS (
            SELECT live.id, known.first, live.label, known.its_label
            FROM live JOIN known USING (key) WHERE {where} AND live.id != known.first
        )
        SELECT twins.id, '{prefix}' || {ROW_ID} || CASE WHEN twins.label != its_label
            THEN printf(', whose label is ''%s'', not ''%s''', its_label, twins.label) ELSE '' END
            AS reason
        FROM twins JOIN rows ON rows.id = twins.first JOIN files USING (file)
        """,
    )
