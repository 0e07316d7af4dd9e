"""Which rows can be used, and which classes there are."""

import re
from collections.abc import Sequence

import pandas as pd

from decant.runtime.errors import UserError


def check_rows(
    rows: pd.DataFrame, labels: Sequence[str] | None, unlabelled_labels: Sequence[str]
) -> list[str]:
    """Reject rows without text, label or known label; mark the unlabelled ones; return the classes.

    Rows of the source whose label is one of `unlabelled_labels` become unlabelled text.

    Raises:
        UserError: fewer than two classes, a class without rows in the source, or, where the
            classes are those found, a label in validation or test that the source lacks.
    """
    _check_names(labels, unlabelled_labels)
    reject(rows, rows["text"].fillna("").str.strip() == "", "no_text", "no text")
    plain = rows["role"].str.startswith("unlabelled")
    label = rows["label"].fillna("")  # the mark "" is a missing label, in every format
    marked = label.isin(list(unlabelled_labels))
    reject(
        rows,
        marked & (label != "") & rows["role"].isin(["validation", "test"]),
        "no_label",
        "marked as unlabelled by its label '" + rows["label"].fillna("") + "' in a given split",
    )
    unlabelled = (plain | (marked & (rows["role"] == "source"))) & usable(rows)
    rows.loc[unlabelled, "split"] = "unlabelled"
    rows.loc[unlabelled, "label"] = pd.NA
    no_label = ~plain & ~unlabelled & (rows["label"].fillna("") == "")
    reject(rows, no_label, "no_label", "no label")

    classes = list(labels) if labels is not None else _found(rows)
    unknown = candidates(rows) & ~rows["label"].isin(classes)
    if labels is None:
        _refuse_unseen(rows[unknown])
    reject(
        rows,
        unknown,
        "unknown_label",
        "label '" + rows["label"].fillna("") + "' is not among ingest.labels",
    )
    _check_classes(rows, classes)
    return classes


def reject(
    rows: pd.DataFrame, where: "pd.Series[bool]", kind: str, reason: "str | pd.Series[str]"
) -> None:
    """Reject the rows that are not rejected yet; the first reason is kept."""
    where = where & rows["reason"].isna()
    rows.loc[where, "kind"] = kind
    rows.loc[where, "reason"] = reason if isinstance(reason, str) else reason[where]
    rows.loc[where, "split"] = pd.NA


def usable(rows: pd.DataFrame) -> "pd.Series[bool]":
    """The rows that are not rejected."""
    return rows["reason"].isna()


def candidates(rows: pd.DataFrame) -> "pd.Series[bool]":
    """The rows with a label that are not rejected."""
    return usable(rows) & (rows["split"].isna() | (rows["split"] != "unlabelled"))


def _check_names(labels: Sequence[str] | None, unlabelled_labels: Sequence[str]) -> None:
    if labels is not None and len(set(labels)) < len(labels):
        raise UserError(
            f"ingest.labels names a class twice: {', '.join(labels)}", code="parameter-value"
        )
    if both := sorted(set(labels or ()) & set(unlabelled_labels)):
        raise UserError(
            f"'{both[0]}' is both in ingest.labels and in ingest.unlabelled_labels",
            code="parameter-conflict",
            hint="remove it from one of them",
        )


def _found(rows: pd.DataFrame) -> list[str]:
    """The labels of the source, sorted; whole numbers by their value."""
    found = rows.loc[candidates(rows) & (rows["role"] == "source"), "label"].unique().tolist()
    if all(re.fullmatch(r"-?\d+", label) for label in found):
        return sorted(found, key=int)
    return sorted(found)


def _refuse_unseen(unseen: pd.DataFrame) -> None:
    if len(unseen):
        first = unseen.iloc[0]
        raise UserError(
            f"{first['row_id']}: label '{first['label']}' has no training row "
            f"({len(unseen)} rows of {first['role']} have such labels)",
            code="label-untrained",
            hint="add training rows of that class, or list the classes in ingest.labels, "
            "which rejects rows of any other",
        )


def _check_classes(rows: pd.DataFrame, classes: Sequence[str]) -> None:
    counts = rows.loc[candidates(rows) & (rows["role"] == "source"), "label"].value_counts()
    lacking = [label for label in classes if label not in counts.index]
    if lacking:
        raise UserError(
            f"class '{lacking[0]}' of ingest.labels has no row in ingest.source; "
            f"labels found: {', '.join(sorted(_all_labels(rows))[:20]) or 'none'}",
            code="class-empty",
            hint="correct ingest.labels or ingest.label_column",
        )
    if len(classes) < 2:
        raise UserError(
            f"only one class in the data: {', '.join(classes)}"
            if classes
            else "no row of ingest.source has both text and label",
            code="class-single" if classes else "rows-unusable",
            hint="give data with two classes or more; check ingest.label_column",
        )


def _all_labels(rows: pd.DataFrame) -> set[str]:
    return set(rows.loc[rows["role"] == "source", "label"].dropna().unique())
