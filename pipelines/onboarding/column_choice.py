"""Which column is the text, which the label, which the group: a proposal or a question."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from decant.runtime.errors import UserError
from decant.tasks.guess import other_kinds
from pipelines.onboarding.column_kinds import (
    Column,
    describe,
    is_text,
    not_a_label,
    require_label,
    tasks_hint,
)
from pipelines.onboarding.questions import Questions

TEXT_NAMES = (
    *("text", "texts", "sentence", "review", "comment", "content", "body", "message", "tweet"),
    *("utterance", "question", "query", "document", "description", "post", "abstract", "headline"),
)
LABEL_NAMES = (
    *("label", "labels", "class", "category", "categories", "sentiment", "target", "y", "intent"),
    *(
        "topic",
        "topics",
        "polarity",
        "rating",
        "stars",
        "score",
        "emotion",
        "judgment",
        "judgement",
        "stance",
        "gold",
    ),
)
_GROUP_NAMES = (
    *("id", "user", "author", "customer", "client", "patient", "speaker", "reviewer", "film"),
    *("movie", "product", "document", "doc", "article", "thread", "conversation", "dialog"),
    *("dialogue", "session", "ticket", "group", "book", "game", "account", "case"),
)
_FEWEST_GROUPS = 20
_LARGEST_GROUP_ROWS = 100  # in the mean


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A column and why; no column where `name` is None."""

    name: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Columns:
    text: Choice
    label: Choice
    group: Choice


def choose_columns(
    frame: pd.DataFrame,
    questions: Questions,
    *,
    text: str | None = None,
    label: str | None = None,
    group: str | None = None,
    no_groups: bool = False,
    labels: Collection[str] = (),
    where: str,
) -> tuple[list[Column], Columns]:
    """Describe every column of the training data, and choose.

    Args:
        text, label, group: given by the person; None: to be found.
        labels: columns that are known to be labels, so that none is looked for.
        where: the data's name in messages.

    Raises UserError for a column that is missing or not usable, and, where nobody can answer, for a
    choice that the data does not decide.
    """
    columns = {str(name): describe(str(name), frame[name]) for name in frame.columns}
    for option, name in (("text", text), ("label", label), ("group", group)):
        if name is not None and name not in columns:
            raise UserError(
                f"there is no column '{name}' in {where}; it has: {', '.join(columns)}",
                code="column-unknown",
                hint=f"give --{option}-column with one of them",
            )
    if len(columns) == 1:
        only = next(iter(columns.values()))
        raise UserError(
            f"{where} has one column, '{only.name}' ({only.look()}): labels are missing",
            code="labels-missing",
            hint="give a table with a column of texts and one of labels; texts alone are for "
            "--unlabelled beside it",
        )
    chosen_text = _text(columns, questions, text, {*labels, label}, where)
    not_left = {chosen_text.name, *labels}
    left = {name: one for name, one in columns.items() if name not in not_left}
    if labels:
        chosen_label = Choice(name=next(iter(labels)), reason="")
    else:
        left = {name: one for name, one in left.items() if name not in frame.attrs.get("lists", ())}
        chosen_label = _label(frame, left, questions, label, where)
    left.pop(chosen_label.name or "", None)
    chosen_group = _group(left, questions, group, no_groups)
    return list(columns.values()), Columns(text=chosen_text, label=chosen_label, group=chosen_group)


def _text(
    columns: Mapping[str, Column],
    questions: Questions,
    given: str | None,
    labels: Collection[str | None],
    where: str,
) -> Choice:
    if given is not None:
        if given in labels:
            raise UserError(
                f"'{given}' is both the text and the label",
                code="label-text",
                hint="give another --label-column",
            )
        if columns[given].rows == 0:
            raise UserError(
                f"the column '{given}' is empty",
                code="text-column-empty",
                hint="give another --text-column",
            )
        return Choice(name=given, reason="as given")
    candidates = {
        name: column for name, column in columns.items() if is_text(column) and name not in labels
    }
    if not candidates:
        raise UserError(
            f"no column of {where} looks like text: {_listed(columns.values())}",
            code="text-column-unclear",
            hint="give --text-column if one of them is",
        )
    by_name = named(candidates, TEXT_NAMES)
    if len(candidates) == 1:
        return Choice(name=next(iter(candidates)), reason="the only column of running text")
    if len(by_name) == 1:
        return Choice(name=by_name[0], reason="named so, and running text")
    longest = max(candidates, key=lambda name: candidates[name].mean_characters)
    name = questions.choose(
        UserError(
            f"{len(candidates)} columns of {where} have text, and a model reads one: "
            f"{', '.join(candidates)}",
            code="text-column-unclear",
            hint=f"give --text-column, such as --text-column {longest}",
        ),
        "Which column is to be classified?",
        {name: column.look() for name, column in candidates.items()},
    )
    return Choice(name=name, reason="as chosen")


def _label(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    questions: Questions,
    given: str | None,
    where: str,
) -> Choice:
    if given is not None:
        if given not in columns:
            raise UserError(
                f"'{given}' is both the text and the label",
                code="label-text",
                hint="give another --label-column",
            )
        require_label(columns[given], list(other_kinds(frame, given)))
        _confirm_codes(frame, columns[given], questions)
        return Choice(name=given, reason="as given")
    possible = {name: one for name, one in columns.items() if not not_a_label(one)}
    classes = {name: one for name, one in possible.items() if one.kind == "classes"}
    codes = {name: one for name, one in possible.items() if one.kind == "codes"}
    by_name = named(classes, LABEL_NAMES) or named(codes, LABEL_NAMES)
    pool = {name: possible[name] for name in by_name} or classes
    pool = _without_twins(frame, pool)
    if not pool:
        raise _no_label(frame, columns, where)
    if len(pool) == 1:
        name = next(iter(pool))
        if in_words := _in_words(frame, pool[name], possible):
            return Choice(name=in_words, reason=f"equal to '{name}', in words")
        _confirm_codes(frame, pool[name], questions)
        return Choice(name=name, reason="named so" if by_name else "the only column of classes")
    name = questions.choose(
        UserError(
            f"{len(pool)} columns of {where} may be the label: {', '.join(pool)}",
            code="label-column-unclear",
            hint=f"give --label-column, such as --label-column {next(iter(pool))}, "
            "or --target NAME:KIND for each of several targets",
        ),
        "Which column is the label?",
        {name: column.look() for name, column in pool.items()},
    )
    return Choice(name=name, reason="as chosen")


def _confirm_codes(frame: pd.DataFrame, column: Column, questions: Questions) -> None:
    """Many whole numbers may be codes of classes, or ages, scores, years."""
    if column.kind != "codes":
        return
    unclear = UserError(
        f"the column '{column.name}' has {column.distinct} different whole numbers, such as "
        f"{column.example}: codes of classes, or a measure",
        code="label-codes-or-measure",
        hint="give --yes if each number is a class, "
        f"{tasks_hint(list(other_kinds(frame, column.name)))}or --label-column with another column",
    )
    questions.require_yes(unclear, "Is each number a class?", proposal=True)


def _no_label(frame: pd.DataFrame, columns: Mapping[str, Column], where: str) -> UserError:
    reasons = [
        f"'{name}': {not_a_label(column) or column.look()}" for name, column in columns.items()
    ]
    readable = dict.fromkeys(
        kind
        for name, column in columns.items()
        if column.kind == "numbers"
        for kind in other_kinds(frame, name)
    )
    return UserError(
        f"no column of {where} looks like a label\n  " + "\n  ".join(reasons),
        code="label-column-missing",
        hint=f"{tasks_hint(readable)}give --label-column if one of them is",
    )


def _group(
    columns: Mapping[str, Column], questions: Questions, given: str | None, no_groups: bool
) -> Choice:
    """Propose a column with the name of a group; ask about one that only repeats like a group."""
    if no_groups:
        return Choice(name=None, reason="no groups, as given")
    if given is not None:
        if given not in columns:
            raise UserError(
                f"'{given}' is the text or the label already",
                code="group-column-used",
                hint="give another --group-column",
            )
        return Choice(name=given, reason="as given: its rows stay in one split")
    candidates = {name: column for name, column in columns.items() if _may_group(column)}
    by_name = named(candidates, _GROUP_NAMES)
    if len(by_name) == 1:
        column = candidates[by_name[0]]
        return Choice(
            name=by_name[0],
            reason=f"{column.rows / column.distinct:.1f} rows each, which stay in one split",
        )
    unnamed = {
        name: one for name, one in candidates.items() if one.kind not in ("numbers", "codes")
    }
    unsure = {name: candidates[name] for name in by_name} or unnamed
    if not unsure:
        return Choice(name=None, reason="no column of groups")
    none = "(none)"
    name = questions.choose(
        UserError(
            "rows that belong together (a customer, a document) must not be in training and test: "
            f"{', '.join(unsure)} may show it",
            code="group-column-unclear",
            hint="give --group-column NAME or --no-groups",
        ),
        "Which column groups the rows?",
        {**{name: column.look() for name, column in unsure.items()}, none: "rows are independent"},
        proposal=next(iter(unsure)),
    )
    if name == none:
        return Choice(name=None, reason="rows are independent")
    return Choice(name=name, reason="as chosen: its rows stay in one split")


def _may_group(column: Column) -> bool:
    """Several rows per value, and many values."""
    return (
        column.kind in ("names", "ids", "classes", "codes", "numbers", "links")
        and column.distinct >= _FEWEST_GROUPS
        and 1.2 * column.distinct <= column.rows <= _LARGEST_GROUP_ROWS * column.distinct
    )


def named(columns: Mapping[str, Column], known: Sequence[str]) -> list[str]:
    """Columns with exactly a known name; else those with such a word in their name."""
    exact = [name for name in columns if name.strip().lower() in known]
    return exact or [name for name in columns if set(_words(name)) & set(known)]


def _words(name: str) -> list[str]:
    """movie_name, movieName and "Movie name" as movie, name."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.split(r"[^a-z]+", spaced.lower())


def _without_twins(frame: pd.DataFrame, columns: Mapping[str, Column]) -> dict[str, Column]:
    """The first one of columns that are equal."""
    kept: dict[str, Column] = {}
    for name, column in columns.items():
        if not any(_same_classes(frame, name, other) for other in kept):
            kept[name] = column
    return kept


def _in_words(frame: pd.DataFrame, column: Column, others: Mapping[str, Column]) -> str | None:
    """negative and positive, where the column has 0 and 1 for them; None where there is none."""
    if not _is_number(column.example):
        return None
    for name, other in others.items():
        if not _is_number(other.example) and _same_classes(frame, column.name, name):
            return name
    return None


def _same_classes(frame: pd.DataFrame, one: str, other: str) -> bool:
    pairs = frame[[one, other]].drop_duplicates()
    return len(pairs) == pairs[one].nunique(dropna=False) == pairs[other].nunique(dropna=False)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _listed(columns: Iterable[Column]) -> str:
    return "; ".join(f"'{column.name}' is {column.look()}" for column in columns)
