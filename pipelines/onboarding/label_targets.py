"""The targets of data whose labels are not one column of classes, or of which there are several."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from decant.runtime.errors import UserError
from decant.tasks.guess import Guess, evident, guess
from decant.tasks.kinds import kinds
from decant.tasks.spec import option_names
from decant.tasks.task import CLASSES
from pipelines.onboarding.column_choice import LABEL_NAMES, named
from pipelines.onboarding.column_kinds import describe, not_a_label
from pipelines.onboarding.parameter_changes import Change
from pipelines.onboarding.questions import Questions

_NO_LABELS = ("text", "ids", "links", "dates", "empty", "constant")


@dataclass(frozen=True, kw_only=True)
class NamedTarget:
    """A target; `name` is "" for the only one."""

    name: str
    guess: Guess


def find_targets(
    frame: pd.DataFrame,
    questions: Questions,
    *,
    task: str | None,
    label_columns: Sequence[str],
    targets: Sequence[str],
    options: Sequence[str],
    text: str | None,
    where: str,
) -> list[NamedTarget]:
    """What the options say, or what the data makes evident; [] for one column of classes.

    Args:
        task, label_columns, targets, options: as the command has them.
        text: the column of the texts, where it is given.
        where: the data's name in messages.

    Raises UserError for columns that cannot be of the kind, and where the data does not decide.
    """
    lists = frame.attrs["lists"]
    if targets:
        return _several(frame, lists, targets, options, task, label_columns, where)
    _require_columns(frame, label_columns, where)
    if task is not None and task not in kinds():
        raise UserError(
            f"there is no kind of target '{task}'",
            code="task-unknown",
            hint=f"give --task with one of: {', '.join(kinds())}",
        )
    if task == CLASSES or (task is None and options):
        if options:
            raise UserError(
                f"--option {options[0]} is of a kind of target, and none is named that has it",
                code="option-conflict",
                hint=f"give --task with one of: {', '.join(kinds())}",
            )
        return []
    of_text = {text} if text else set()
    candidates = frame[[name for name in frame.columns if name not in of_text]]
    if task is None:
        found = _evident(candidates, lists, label_columns, questions, where)
    else:
        given = _options(options, {"": task})[""]
        columns = label_columns or given.get("label_columns") or ()
        found = (
            guess(task, frame, columns, lists=lists, options=given)
            if columns
            else _of_kind(candidates, lists, task, given, questions, where)
        )
    return [NamedTarget(name="", guess=found)] if found and found.kind != CLASSES else []


def target_changes(
    targets: Sequence[NamedTarget], classes: Sequence[str], fewest_rows: int | None
) -> list[Change]:
    """The parameters of these targets, without those of files, texts and groups.

    Args:
        classes: the labels of the only target; () for all that are found.
        fewest_rows: labels with fewer rows are left out.
    """
    rare = [
        Change(path=f"ingest.{key}", value=value, reason="as given")
        for key, value in (("min_rows_per_class", fewest_rows), ("rare_classes", "drop"))
        if fewest_rows is not None
    ]
    if targets[0].name:
        entries = [
            {
                "name": one.name,
                "kind": one.guess.kind,
                **({"column": column} if (column := one.guess.columns[0]) != one.name else {}),
                **one.guess.options,
            }
            for one in targets
        ]
        looks = ", ".join(f"{one.name}: {one.guess.look}" for one in targets)
        return [Change(path="ingest.targets", value=entries, reason=looks), *_plain(None), *rare]
    (target,) = targets
    found = target.guess
    changes = [
        Change(path="ingest.task", value=found.kind, reason=found.look),
        *(
            Change(path=f"ingest.kinds.{found.kind}.{name}", value=value, reason=found.look)
            for name, value in found.options.items()
        ),
        Change(path="ingest.targets", value=[], reason="one target"),
    ]
    if len(found.columns) == 1:
        name = found.columns[0]
        changes.insert(0, Change(path="ingest.label_column", value=name, reason=found.look))
    return changes + _plain(list(classes) or None) + rare


def _plain(labels: list[str] | None) -> list[Change]:
    why = "as given" if labels else "all that are found"
    return [
        Change(path="ingest.labels", value=labels, reason=why),
        Change(path="ingest.metric", value=None, reason="the kind's first"),
    ]


def _evident(
    frame: pd.DataFrame,
    lists: Collection[str],
    given: Sequence[str],
    questions: Questions,
    where: str,
) -> Guess | None:
    """What nothing else explains, unless a column of classes is named like a label."""
    found = [one for one in evident(frame, lists) if not given or set(one.columns) == set(given)]
    if given:
        return found[0] if found else _refuse_several(frame, lists, given)
    columns = {str(name): describe(str(name), frame[name]) for name in frame.columns}
    used = {name for one in found for name in one.columns}
    classes = {
        name: one for name, one in columns.items() if name not in used and not not_a_label(one)
    }
    labels = {name: one for name, one in columns.items() if name in used}
    best = named(labels, LABEL_NAMES)
    found = [one for one in found if set(one.columns) & set(best)] or found
    if not found or (named(classes, LABEL_NAMES) and not best):
        return None
    if len(found) == 1:
        return found[0] if len(found[0].columns) == 1 else _together(found[0], questions, where)
    by_name = {", ".join(one.columns): one for one in found}
    name = questions.choose(
        _unclear(list(by_name), where),
        "Which is the label?",
        {name: one.look for name, one in by_name.items()},
    )
    return by_name[name]


def _together(found: Guess, questions: Questions, where: str) -> Guess | None:
    names = ", ".join(found.columns)
    unclear = UserError(
        f"{len(found.columns)} columns of {where} have 0 and 1: {names}",
        code="label-column-unclear",
        hint=f"give --task {found.kind} to learn them together, or --label-column with one",
    )
    return found if questions.confirm(unclear, "Learn them together?", proposal=True) else None


def _of_kind(
    frame: pd.DataFrame,
    lists: Collection[str],
    task: str,
    options: Mapping[str, Any],
    questions: Questions,
    where: str,
) -> Guess:
    """The columns that such a kind can read; those named like a label first."""
    sure = [one for one in evident(frame, lists) if one.kind == task]
    possible: dict[str, Guess] = {", ".join(one.columns): one for one in sure}
    if not possible:
        possible = _readable(frame, lists, task, options, where)
    described = {name: describe(name, frame[name]) for name in possible if name in frame.columns}
    likely = named(described, LABEL_NAMES) or list(possible)
    name = likely[0]
    if len(likely) > 1:
        name = questions.choose(
            _unclear(likely, where),
            "Which column is the label?",
            {one: possible[one].look for one in likely},
        )
    return guess(task, frame, possible[name].columns, lists=lists, options=options)


def _readable(
    frame: pd.DataFrame,
    lists: Collection[str],
    task: str,
    options: Mapping[str, Any],
    where: str,
) -> dict[str, Guess]:
    """By column, those that the kind can read. Raises UserError with the reasons where none is."""
    found, refused = {}, {}
    for name in map(str, frame.columns):
        if describe(name, frame[name]).kind in _NO_LABELS:
            continue
        try:
            found[name] = guess(task, frame, [name], lists=lists, options=options)
        except UserError as error:
            refused[name] = error
    if found:
        return found
    if len(refused) == 1:
        raise next(iter(refused.values()))
    reasons = "".join(f"\n  {error.problem}" for error in refused.values())
    raise UserError(
        f"no column of {where} looks like labels of the kind {task}{reasons}",
        code="label-column-missing",
        hint="give --label-column if one of them is",
    )


def _several(
    frame: pd.DataFrame,
    lists: Collection[str],
    targets: Sequence[str],
    options: Sequence[str],
    task: str | None,
    label_columns: Sequence[str],
    where: str,
) -> list[NamedTarget]:
    if task or label_columns:
        raise UserError(
            "--target excludes --task and --label-column",
            code="option-conflict",
            hint="give --target NAME:KIND or NAME:KIND:COLUMN for every target",
        )
    if len(targets) < 2:
        raise UserError(
            "--target is for several targets, and one is given",
            code="option-conflict",
            hint="give --task and --label-column for one target",
        )
    parts = [_target_parts(one) for one in targets]
    if twice := [name for name, _, _ in parts if [one[0] for one in parts].count(name) > 1]:
        raise UserError(
            f"two targets are named '{twice[0]}'",
            code="option-conflict",
            hint="give each its own name: --target NAME:KIND:COLUMN",
        )
    given = _options(options, {name: kind for name, kind, _ in parts})
    found = []
    for name, kind, column in parts:
        own = given[name]
        columns = own.get("label_columns") or [column]
        _require_columns(frame, columns, where)
        read = guess(kind, frame, columns, lists=lists, options=own)
        found.append(NamedTarget(name=name, guess=read))
    return found


def _target_parts(text: str) -> tuple[str, str, str]:
    """NAME:KIND, or NAME:KIND:COLUMN."""
    name, _, rest = text.partition(":")
    kind, _, column = rest.partition(":")
    if not name or kind not in kinds():
        raise UserError(
            f"--target {text} is not NAME:KIND or NAME:KIND:COLUMN",
            code="option-value",
            hint=f"kinds: {', '.join(kinds())}",
        )
    return name, kind, column or name


def _options(options: Sequence[str], kind_of: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """NAME=VALUE of the only target, or TARGET.NAME=VALUE of several: by target, as values."""
    found: dict[str, dict[str, Any]] = {name: {} for name in kind_of}
    for option in options:
        key, equals, text = option.partition("=")
        target, _, name = key.rpartition(".")
        known = option_names(kind_of[target]) if target in kind_of else []
        if not equals or name not in known:
            form = "NAME=VALUE" if "" in kind_of else "TARGET.NAME=VALUE"
            listed = known or [one for kind in kind_of.values() for one in option_names(kind)]
            raise UserError(
                f"--option {option} is not {form} with an option of the kind",
                code="option-value",
                hint=f"options: {', '.join(dict.fromkeys(listed)) or 'none'}",
            )
        found[target][name] = _value(text)
    return found


def _value(text: str) -> Any:
    """A number, true, null or a list as JSON has them; else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _require_columns(frame: pd.DataFrame, names: Sequence[str], where: str) -> None:
    if lacking := [name for name in names if name not in frame.columns]:
        raise UserError(
            f"there is no column '{lacking[0]}' in {where}; it has: {', '.join(frame.columns)}",
            code="column-unknown",
            hint="give --label-column with one of them",
        )


def _refuse_several(
    frame: pd.DataFrame, lists: Collection[str], given: Sequence[str]
) -> Guess | None:
    if len(given) < 2:
        return None
    raise UserError(
        f"{len(given)} label columns are given: {', '.join(given)}",
        code="option-conflict",
        hint="give --target NAME:KIND for each of several targets; together they are one target "
        "where --task names a kind that has a column per label",
    )


def _unclear(names: Sequence[str], where: str) -> UserError:
    return UserError(
        f"{len(names)} columns of {where} may be the label: {'; '.join(names)}",
        code="label-column-unclear",
        hint="give --label-column with one of them, or --target NAME:KIND for each of several",
    )
