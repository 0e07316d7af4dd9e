"""Texts that occur more than once, and rows that would leak a given split or a held-out one.

Two texts are the same when they differ only in case and white space.
"""

import pandas as pd

from components.ingest.checks import candidates, reject, usable
from decant.runtime.reporter import Reporter


def drop_groups_of_given_splits(rows: pd.DataFrame, reporter: Reporter) -> None:
    """Reject labelled rows of the source whose group is in a given split.

    Given splits without the group column have no groups, so nothing is rejected.
    """
    given = rows["role"].isin(["validation", "test"]) & usable(rows)
    if not (given & rows["group"].notna()).any():
        return
    source = (rows["role"] == "source") & candidates(rows)
    dropped = _reject_groups(rows, source, rows[given].set_index("group")["role"])
    reporter.metric("group_leaks_dropped_for_given_splits", dropped)
    if dropped:
        reporter.warning(
            f"given splits: {dropped} training rows belong to a group of a validation or test row "
            "and were dropped"
        )


def drop_duplicates(rows: pd.DataFrame, reporter: Reporter) -> None:
    """Reject labelled rows of the source whose text is in a given split or earlier in the source.

    Given splits are kept as they are; repeats within them are only reported.
    """
    rows["key"] = text_keys(rows["text"])
    given = rows["role"].isin(["validation", "test"]) & usable(rows)
    source = (rows["role"] == "source") & candidates(rows)
    if given.any():
        repeated = int(rows.loc[given, "key"].duplicated().sum())
        reporter.metric("duplicates_kept_in_given_splits", repeated)
        first = rows[given].drop_duplicates("key").set_index("key")
        dropped = _reject_known(rows, source, first, "duplicate", "duplicate of ")
        reporter.metric("duplicates_dropped_for_given_splits", dropped)
        if repeated or dropped:
            reporter.warning(
                f"given splits: {dropped} training rows repeat a validation or test text and were "
                f"dropped; {repeated} repeats within validation and test were kept as given"
            )
    source &= usable(rows)
    first = rows[source].drop_duplicates("key").set_index("key")
    later = source & rows["key"].duplicated(keep=False)
    _reject_known(rows, later, first, "duplicate", "duplicate of ")


def drop_known_unlabelled(rows: pd.DataFrame) -> None:
    """Reject unlabelled rows that repeat a text, or belong to a group of validation or test."""
    unlabelled = (rows["split"] == "unlabelled") & ~rows["withheld"]
    held_out = rows["split"].isin(["validation", "test"])
    _reject_groups(rows, unlabelled, rows[held_out].set_index("group")["split"])
    unlabelled &= usable(rows)
    first = rows[held_out].drop_duplicates("key").set_index("key")
    _reject_known(rows, unlabelled, first, "leak", "leak: same text as ")
    unlabelled &= usable(rows)
    known = (rows["split"] == "train") | rows["withheld"]
    first = rows[known].drop_duplicates("key").set_index("key")
    _reject_known(rows, unlabelled, first, "duplicate", "duplicate of ")
    unlabelled &= usable(rows)
    first = rows[unlabelled].drop_duplicates("key").set_index("key")
    _reject_known(rows, unlabelled, first, "duplicate", "duplicate of ")


def text_keys(texts: "pd.Series[str]") -> "pd.Series[str]":
    """Texts with case folded and white space (Unicode's) collapsed."""
    keys = [" ".join(text.split()).casefold() for text in texts.fillna("")]
    return pd.Series(keys, index=texts.index, dtype="str")


def _reject_groups(
    rows: pd.DataFrame, where: "pd.Series[bool]", split_of_group: "pd.Series[str]"
) -> int:
    """Reject rows whose group is in the index of `split_of_group`; returns how many."""
    known = split_of_group[split_of_group.index.notna()]
    split = rows["group"].map(known[~known.index.duplicated()])
    where = where & split.notna()
    reason = "leak: group '" + rows["group"].fillna("") + "' is in the split " + split.fillna("")
    reject(rows, where, "leak", reason)
    return int(where.sum())


def _reject_known(
    rows: pd.DataFrame, where: "pd.Series[bool]", first: pd.DataFrame, kind: str, prefix: str
) -> int:
    """Reject rows whose key is in `first`, except the first itself; returns how many."""
    twin = rows.loc[where, "key"].map(first["row_id"])
    twin = twin[twin.notna() & (twin != rows.loc[twin.index, "row_id"])]
    label = rows.loc[twin.index, "key"].map(first["label"])
    own = rows.loc[twin.index, "label"]
    differs = label.notna() & own.notna() & (label != own)
    reason = (
        prefix + twin + (", whose label is '" + label + "', not '" + own + "'").where(differs, "")
    )
    full = pd.Series(pd.NA, index=rows.index, dtype="str")
    full[twin.index] = reason
    reject(rows, full.notna(), kind, full)
    return len(twin)
