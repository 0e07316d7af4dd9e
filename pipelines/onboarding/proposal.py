"""What `decant init` found in a person's data, and the parameters that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from decant.runtime.errors import UserError
from decant.tasks.spelling import respelled
from pipelines.onboarding.column_choice import Columns, choose_columns
from pipelines.onboarding.column_kinds import Column
from pipelines.onboarding.data_files import DataFile, DataFiles, find_data, shown_name
from pipelines.onboarding.ingest_trial import Trial, try_ingest
from pipelines.onboarding.label_targets import NamedTarget, find_targets, target_changes
from pipelines.onboarding.label_values import Labels, settle_labels
from pipelines.onboarding.parameter_changes import (
    Change,
    changed_section,
    data_parameters,
    length_parameter,
    value_at,
)
from pipelines.onboarding.questions import Questions
from pipelines.onboarding.strict_rows import read_rows, repeated_headers
from pipelines.onboarding.text_facts import TextFacts, text_facts

_MOST_CONTRADICTIONS = 0.05  # of the rows


@dataclass(frozen=True, kw_only=True)
class Options:
    """Answers given as options; None and () where not given."""

    text_column: str | None = None
    label_columns: tuple[str, ...] = ()
    task: str | None = None
    targets: tuple[str, ...] = ()
    kind_options: tuple[str, ...] = ()
    group_column: str | None = None
    no_groups: bool = False
    validation: str | None = None
    test: str | None = None
    unlabelled: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    unlabelled_labels: tuple[str, ...] = ()
    min_class_rows: int | None = None
    max_length_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """All findings. `changes`: only parameters that differ from the present ones.

    Attributes:
        targets: where they are not one column of classes.
        notes: what a person should know, the most important first.
    """

    data: DataFiles
    columns: list[Column]
    chosen: Columns
    labels: Labels
    texts: TextFacts
    trial: Trial
    changes: list[Change]
    targets: list[NamedTarget]
    notes: list[str] = field(default_factory=list)


def propose(
    uri: str, params: Mapping[str, Any], options: Options, questions: Questions, *, root: Path
) -> Proposal:
    """Read the data, settle what each column and label means, and try it with ingest's own rules.

    Args:
        params: all sections, as params.yaml has them.
        root: the folder from which the parameters will be read; paths below it become relative.

    Raises UserError for data that cannot be used, and, where nobody can answer, for each question.
    """
    data = find_data(
        uri,
        questions,
        validation=options.validation,
        test=options.test,
        unlabelled=options.unlabelled,
    )
    where = shown_name(data.source)
    frame = read_rows(data.source)
    targets = find_targets(
        frame,
        questions,
        task=options.task,
        label_columns=options.label_columns,
        targets=options.targets,
        options=options.kind_options,
        text=options.text_column,
        where=where,
    )
    used = tuple(dict.fromkeys(name for one in targets for name in one.guess.columns))
    columns, chosen = choose_columns(
        frame,
        questions,
        text=options.text_column,
        label=next(iter(options.label_columns), None),
        group=options.group_column,
        no_groups=options.no_groups,
        labels=used,
        where=where,
    )
    text, label = str(chosen.text.name), str(chosen.label.name)
    data, notes = _usable_splits(data, text, used or (label,))
    headers = repeated_headers(frame, text, label)
    labels = (
        _labels_as_given(frame, used, options)
        if targets
        else _settled(_with_labels(frame, label), data, text, label, headers, options, questions)
    )
    facts = text_facts(
        [value for value in frame[text].dropna() if value.strip()],
        encoder_uri=params["ingest"]["encoder"],
        limit=params["tokenize"]["max_length_tokens"],
    )
    of_targets = (
        target_changes(targets, labels.named_classes, options.min_class_rows) if targets else []
    )
    wanted = data_parameters(data, chosen, labels, params["ingest"], root, of_targets)
    wanted += length_parameter(facts, options.max_length_tokens)
    trial = try_ingest(changed_section(params, wanted, "ingest"), root)
    return Proposal(
        data=data,
        columns=columns,
        chosen=chosen,
        labels=labels,
        texts=facts,
        trial=trial,
        targets=targets,
        changes=[one for one in wanted if value_at(params, one.path) != one.value],
        notes=notes + _notes(labels, facts, trial, headers),
    )


def _settled(
    frame: pd.DataFrame,
    data: DataFiles,
    text: str,
    label: str,
    headers: int,
    options: Options,
    questions: Questions,
) -> Labels:
    """The classes of one column."""
    given = {
        role: _with_labels(read_rows(one), label)
        for role, one in (("validation", data.validation), ("test", data.test))
        if one
    }
    return settle_labels(
        _distinct_texts(frame, text, label),
        label,
        questions,
        given_splits={role: split[label] for role, split in given.items()},
        header_rows=headers,
        classes=_respelled(options.classes),
        unlabelled=_respelled(options.unlabelled_labels),
        fewest_rows=options.min_class_rows,
    )


def _labels_as_given(frame: pd.DataFrame, columns: Sequence[str], options: Options) -> Labels:
    """Of targets that are not one column of classes: ingest itself counts and checks them."""
    if options.classes and options.targets:
        raise UserError(
            "--class is for one target",
            code="option-conflict",
            hint="add `labels` to a target in the written file",
        )
    missing = (frame[list(columns)].fillna("").apply(lambda one: one.str.strip()) == "").all(axis=1)
    return Labels(
        counts={},
        missing=int(missing.sum()),
        unlabelled=tuple(_respelled(options.unlabelled_labels)),
        left_out={},
        named_classes=tuple(_respelled(options.classes)),
    )


def _with_labels(frame: pd.DataFrame, label: str) -> pd.DataFrame:
    """The frame with its labels as ingest spells them: 1.0 is 1."""
    one = respelled(frame[label].dropna().unique())
    return frame.assign(**{label: frame[label].map(one, na_action="ignore")})


def _respelled(values: Sequence[str]) -> list[str]:
    one = respelled(values)
    return [one[value] for value in values]


def _distinct_texts(frame: pd.DataFrame, text: str, label: str) -> "pd.Series[str]":
    """The labels of rows with a text; of labelled rows with the same text the first one's."""
    texts = frame[text].fillna("")
    keys = texts.map(lambda text: " ".join(text.split()).casefold())
    labelled = frame[label].fillna("").str.strip() != ""
    repeated = keys.where(labelled).duplicated() & labelled
    return frame.loc[(keys != "") & ~repeated, label]


def _usable_splits(
    data: DataFiles, text: str, labels: Sequence[str]
) -> tuple[DataFiles, list[str]]:
    """Given splits that have both columns; one without labels is text for distillation.

    Raises UserError for a split without the text column.
    """
    given: dict[str, DataFile | None] = {}
    more, notes = list(data.unlabelled), []
    for role, one in (("validation", data.validation), ("test", data.test)):
        given[role] = one
        if one is None:
            continue
        frame = read_rows(one)
        if text not in frame.columns:
            raise UserError(
                f"{shown_name(one)} has no column '{text}'; it has: "
                f"{', '.join(map(str, frame.columns))}",
                code="column-unknown",
                hint="give all files the same columns",
            )
        found = [name for name in labels if name in frame.columns]
        if all((frame[name].fillna("").str.strip() == "").all() for name in found):
            given[role] = None
            more.append(one)
            notes.append(
                f"{shown_name(one)} has no labels ('{', '.join(labels)}'), so that it is used as "
                f"unlabelled text; the {role} split is drawn from the training data"
            )
    return (
        DataFiles(
            source=data.source,
            validation=given["validation"],
            test=given["test"],
            unlabelled=tuple(more),
            aside=data.aside,
            how=data.how,
        ),
        notes,
    )


def _notes(labels: Labels, facts: TextFacts, trial: Trial, repeated_headers: int) -> list[str]:
    notes = []
    if trial.contradictions > _MOST_CONTRADICTIONS * trial.rows:
        notes.append(
            f"{trial.contradictions:,} rows repeat a text with another label: the text alone does "
            "not decide it, such as where a pair of texts is labelled"
        )
    if repeated_headers:
        notes.append(f"{repeated_headers} rows repeat the header and are left out")
    if labels.missing:
        notes.append(f"{labels.missing:,} rows have no label: their texts are used without one")
    script, share = next(iter(facts.scripts.items()), ("", 0.0))
    if facts.unknown is not None and facts.unknown > 0.02:
        notes.append(
            f"the encoder lacks {facts.unknown:.0%} of the tokens ({script} script): set "
            "ingest.encoder to one that was trained on this language"
        )
    elif script and script != "Latin" and share > 0.5:
        notes.append(
            f"the texts are in {script} script: check that ingest.encoder was trained on it"
        )
    small = [value for value, count in labels.counts.items() if count < 10]
    if small:
        notes.append(f"{len(small)} classes have fewer than 10 rows: their figures will be chance")
    return notes
