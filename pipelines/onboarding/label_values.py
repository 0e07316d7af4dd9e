"""The labels: classes with counts, and questions to settle before they can be learned."""

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from decant.runtime.errors import UserError
from pipelines.onboarding.questions import Questions

# Values that often stand for "not labelled".
_PLACEHOLDERS = {
    *("na", "n/a", "nan", "null", "none", "nil", "?", "-", "--", "unknown", "unlabelled"),
    *("unlabeled", "no label", "not labelled", "not labeled", "todo", "tbd", "skip"),
}
_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Which values are classes.

    Attributes:
        counts: rows per class of the training data, in the order in which they are learned.
        missing: rows of the training data without a label.
        unlabelled: values that mark text without a label; `` is a missing one.
        left_out: value → why its rows are not used.
        named_classes: those that a person named.
    """

    counts: Mapping[str, int]
    missing: int
    unlabelled: tuple[str, ...]
    left_out: Mapping[str, str]
    named_classes: tuple[str, ...] = ()

    @property
    def listed(self) -> list[str] | None:
        """The value of ingest.labels: None where all that is found is a class."""
        return list(self.counts) if self.left_out or self.named_classes else None


def settle_labels(
    labels: "pd.Series[str]",
    column: str,
    questions: Questions,
    *,
    given_splits: "Mapping[str, pd.Series[str]]",
    header_rows: int = 0,
    classes: Sequence[str] = (),
    unlabelled: Sequence[str] = (),
    fewest_rows: int | None = None,
) -> Labels:
    """Decide the meaning of each label of the training data, by the options or by questions.

    Args:
        labels: of the training rows that have a text, without repeated texts; missing: NA or empty.
        given_splits: the labels of validation and test where they are given.
        header_rows: how many rows repeat the header, so that their label is the column's name.
        classes: all classes, in their order; labels of any other value are left out.
        unlabelled: values that mark text without a label.
        fewest_rows: classes with fewer rows are left out.

    Raises UserError for labels that are not one class per row, and where nobody can answer.
    """
    values = labels.fillna("").str.strip()
    found = values[values != ""].value_counts()
    _refuse_lists(found, column)
    marks = list(unlabelled) or ([] if classes else _placeholders(found, questions))
    left_out: dict[str, str] = {}
    if header_rows and column in found.index:
        left_out[column] = f"the header, repeated in {header_rows} rows"
    if classes:
        _require_found(classes, found)
        left_out |= {
            value: "not among the given classes"
            for value in found.index
            if value not in classes and value not in marks
        }
    kept = [value for value in found.index if value not in left_out and value not in marks]
    if not classes:
        _refuse_two_spellings({value: int(found[value]) for value in kept}, questions)
        needed = 3 - len(given_splits)
        left_out |= _rare(found[kept], needed, fewest_rows, questions)
        left_out |= _unseen({*kept, *marks, *left_out}, given_splits, questions)
    kept = [value for value in kept if value not in left_out]
    if len(kept) < 2:
        what = f"only one class: '{kept[0]}'" if kept else "no class"
        raise UserError(
            f"the column '{column}' has {what} with enough rows",
            code="class-single",
            hint="give data with two classes or more, or another --label-column",
        )
    missing = int((values == "").sum())
    return Labels(
        counts={value: int(found[value]) for value in (classes or ordered(kept))},
        missing=missing,
        unlabelled=(*marks, *([""] if missing else [])),
        left_out=left_out,
        named_classes=tuple(classes),
    )


def ordered(values: Sequence[str]) -> list[str]:
    """In the order of ingest: whole numbers by value, all else by spelling."""
    if all(re.fullmatch(r"-?\d+", value) for value in values):
        return sorted(values, key=int)
    return sorted(values)


def _refuse_lists(found: "pd.Series[int]", column: str) -> None:
    """One class per row is what is learned; annotation tools export lists of them."""
    lists = [value for value in found.index if _is_list(value)]
    if lists and len(lists) == len(found):
        raise UserError(
            f"the column '{column}' has lists, such as {_cut(lists[0])}, and a row has one label",
            code="label-lists",
            hint="write each row's one label as text; of several labels per row write lists "
            "in JSON lines or Parquet, or a separator between them",
        )


def _is_list(value: str) -> bool:
    if not value.startswith(("[", "{")):
        return False
    try:
        return isinstance(json.loads(value.replace("'", '"')), list | dict)
    except (ValueError, RecursionError):
        return False


def _placeholders(found: "pd.Series[int]", questions: Questions) -> list[str]:
    marks = [value for value in found.index if value.casefold() in _PLACEHOLDERS]
    if not marks or len(found) - len(marks) < 2:
        return []
    listed = _with_rows({value: int(found[value]) for value in marks})
    options = " ".join(f"--unlabelled-label '{value}'" for value in marks)
    agreed = questions.confirm(
        UserError(
            f"the label {listed} may mark unlabelled texts",
            code="label-mark-unclear",
            hint=f"give {options}, or --class for every class",
        ),
        "Use these texts without a label?",
        proposal=True,
    )
    return marks if agreed else []


def _require_found(classes: Sequence[str], found: "pd.Series[int]") -> None:
    if lacking := [value for value in classes if value not in found.index]:
        raise UserError(
            f"no row has the class '{lacking[0]}'",
            code="option-value",
            hint=f"give --class with one of: {', '.join(ordered(list(found.index))[:20])}",
        )


def _refuse_two_spellings(counts: Mapping[str, int], questions: Questions) -> None:
    """1 and 1.0, or Positive and positive, would be learned as different classes."""
    by_key: dict[object, list[str]] = {}
    for value in counts:
        by_key.setdefault(_key(value), []).append(value)
    alike = [values for values in by_key.values() if len(values) > 1]
    if not alike:
        return
    listed = "; ".join(
        _with_rows({value: counts[value] for value in values}) for values in alike[:_SHOWN]
    )
    unclear = UserError(
        f"labels that differ in spelling only would be learned as different classes: {listed}",
        code="label-spellings",
        hint="write them alike in the data, or name the classes with --class (others are left out)",
    )
    questions.require_yes(unclear, "Are they different classes?", proposal=False)


def _key(value: str) -> object:
    try:
        return float(value) if not re.fullmatch(r"\d+\.\d+", value) else value
    except ValueError:
        plain = unicodedata.normalize("NFKC", value).casefold()
        visible = "".join(one for one in plain if unicodedata.category(one) != "Cf")
        return re.sub(r"[\s_-]+", " ", visible).strip()


def _rare(
    found: "pd.Series[int]", needed: int, fewest_rows: int | None, questions: Questions
) -> dict[str, str]:
    """Classes with too few rows to be in every split that is made."""
    bound = max(needed, fewest_rows or 0)
    rare = {str(value): int(count) for value, count in found.items() if count < bound}
    if not rare:
        return {}
    if fewest_rows is None:
        unclear = UserError(
            f"{len(rare)} of {len(found)} classes have fewer than {bound} rows with different "
            f"texts, too few to be split: {_with_rows(rare)}",
            code="classes-rare",
            hint=f"give --min-class-rows {bound} to leave their rows out, or add rows",
        )
        questions.require_yes(unclear, "Leave their rows out?", proposal=True)
    return {value: f"{_rows(count)}, fewer than {bound}" for value, count in rare.items()}


def _unseen(
    known: Collection[str],
    given_splits: "Mapping[str, pd.Series[str]]",
    questions: Questions,
) -> dict[str, str]:
    """Labels of a given split that no training row has."""
    unseen: dict[str, int] = {}
    for labels in given_splits.values():
        values = labels.fillna("").str.strip()
        for value, count in values[values != ""].value_counts().items():
            if value not in known:
                unseen[str(value)] = unseen.get(str(value), 0) + int(count)
    if unseen:
        splits = " and ".join(given_splits)
        unclear = UserError(
            f"labels of {splits} that no training row has: {_with_rows(unseen)}",
            code="classes-unseen",
            hint="add training rows of them, or give --class for every class (others are left out)",
        )
        questions.require_yes(unclear, "Leave these rows out?", proposal=True)
    return dict.fromkeys(unseen, "in a given split only")


def _with_rows(counts: Mapping[str, int]) -> str:
    """'a' (3 rows), 'b' (1 row)"""
    parts = [f"'{_cut(value)}' ({_rows(count)})" for value, count in list(counts.items())[:_SHOWN]]
    more = len(counts) - _SHOWN
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"


def _cut(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:39]}…"
