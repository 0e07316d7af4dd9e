"""Fetch data and encoder, check every row, split without leakage, take the label budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from components.ingest.budget import take_budget
from components.ingest.checks import check_rows
from components.ingest.corpus_files import report_rows, write_splits
from components.ingest.duplicates import (
    drop_duplicates,
    drop_groups_of_given_splits,
    drop_unlabelled_duplicates,
    drop_unlabelled_leaks,
)
from components.ingest.encoder_files import encoder_files
from components.ingest.label_in_text import warn_of_labels_in_text
from components.ingest.near_duplicates import Policy as NearDuplicates
from components.ingest.near_duplicates import Similarity, drop_near_duplicates
from components.ingest.origins import Origin, fetch_watched, pins_of
from components.ingest.rare_classes import MinRows, settle_rare_classes
from components.ingest.rare_classes import Policy as RareClasses
from components.ingest.rows import load_rows
from components.ingest.splits import assign_splits, require_training_rows
from decant.data.corpus import Schema, write_schema
from decant.models.encoder import MORE_ENCODERS
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.runtime.secrets import without_secrets
from decant.runtime.settings import settings
from decant.sources import is_local, pin
from decant.tables import Engine, table_engine
from decant.tasks.declared import Declared, declared_target, declared_targets
from decant.tasks.rows import rows_of
from decant.tasks.spec import typed_options
from decant.tasks.spelling import respelled
from decant.tasks.task import Task

Fraction = Annotated[float, Field(gt=0, le=0.5)]


@settings
class Params:
    """Where the data is, what its columns mean, and how it is split. See params.yaml."""

    source: Annotated[str, Field(min_length=1)]
    validation: str | None
    test: str | None
    unlabelled: list[str]
    format: str
    local_corpus: Annotated[str, Field(min_length=1)]
    text_column: Annotated[str, Field(min_length=1)]
    label_column: Annotated[str, Field(min_length=1)]
    task: str
    kinds: dict[str, dict[str, Any]]
    metric: str | None
    targets: list[dict[str, Any]]
    group_by: str | None
    labels: Annotated[list[str], Field(min_length=2)] | None
    unlabelled_labels: list[str]
    min_rows_per_class: MinRows | None
    rare_classes: RareClasses
    near_duplicates: NearDuplicates
    near_duplicate_similarity: Similarity
    test_fraction: Fraction
    validation_fraction: Fraction
    split_seed: Annotated[int, Field(ge=0, lt=2**32)]
    label_budget: Annotated[int, Field(ge=1)] | None
    label_budget_per_class: bool
    encoder: Annotated[str, Field(min_length=1)]
    more_encoders: list[Annotated[str, Field(min_length=1)]]
    local_encoder: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _check_targets(self) -> Self:
        for kind, options in self.kinds.items():
            typed_options(kind, options, where=f"ingest.kinds.{kind}")
        self.declared()
        return self

    def declared(self) -> list[Declared]:
        """The targets. Raises UserError where their parameters do not fit each other."""
        if not self.targets:
            only = declared_target(
                self.task,
                column=self.label_column,
                labels=self.labels,
                metric=self.metric,
                options=self.kinds,
            )
            return [rows_of(only).checked(only)]
        for name, value in (("labels", self.labels), ("metric", self.metric)):
            if value is not None:
                raise UserError(
                    f"ingest.{name} is of one target, but ingest.targets lists several",
                    code="parameter-conflict",
                    hint=f"set ingest.{name} to null, and give each target its own {name}",
                )
        found = declared_targets(self.targets, self.kinds)
        return [rows_of(target).checked(target) for target in found]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """None: this step reads external sources, which `pins` identifies."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The checked corpus with its splits, and the encoder as it was fetched."""

    corpus: Path
    encoder: Path


def pins(params: Params) -> dict[str, str]:
    """The digest or revision of each source that is read.

    Raises UserError when a source is missing, or where DVC would not notice its changes.
    """
    return pins_of([*_data(params), *_encoders(params)])


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Write the corpus and the encoder artifact; memory use does not grow with the rows.

    Raises:
        UserError: a mistake in data, encoder or parameters that the user can fix.
    """
    for origin in (*_data(params), *_encoders(params)):
        if not is_local(origin.uri):
            shown = without_secrets(origin.uri)
            reporter.message(f"{origin.role}: {shown}, pinned as {pin(origin.uri)}")
    for number, origin in enumerate(_encoders(params)):
        folder = outputs.encoder / MORE_ENCODERS / str(number) if number else outputs.encoder
        folder.mkdir(parents=True, exist_ok=True)
        with reporter.activity(f"fetching {origin.role} {without_secrets(origin.uri)}"):
            facts = encoder_files(fetch_watched(origin), folder)
        for fact in facts:
            reporter.message(f"{origin.role}: {fact}")
    with table_engine(outputs.corpus) as engine:
        targets = prepare_rows(engine, params, reporter)
        task = task_of(engine, targets)
        schema = Schema(task=task, text_column=params.text_column, group_column=params.group_by)
        write_schema(outputs.corpus, schema)
        with reporter.activity("writing the corpus"):
            write_splits(engine, targets, task, outputs.corpus)
        report_rows(engine, targets, reporter)


def task_of(engine: Engine, targets: Sequence[Declared]) -> Task:
    """What the rows make of the targets; an output per label, or of the target's own name."""
    return Task(
        tuple(
            target.as_target(target.labels or (target.name,), rows_of(target).facts(engine, target))
            for target in targets
        )
    )


def prepare_rows(engine: Engine, params: Params, reporter: Reporter) -> list[Declared]:
    """Load all rows of the data, each with its split or the reason why it is rejected.

    rows.py has the tables. Nothing else is written.

    Returns:
        the targets with their labels.

    Raises:
        UserError: whatever of the data or its parameters the user can fix.
    """
    targets = params.declared()
    marks = list(respelled(params.unlabelled_labels).values())
    with reporter.activity(f"reading {without_secrets(params.source)}"):
        load_rows(
            _data(params),
            engine,
            reporter,
            format_name=params.format,
            text_column=params.text_column,
            targets=targets,
            marks=marks,
            group_column=params.group_by,
        )
    with reporter.activity("checking the rows"):
        targets = check_rows(engine, targets, marks, reporter)
    with reporter.activity("looking for duplicates"):
        drop_groups_of_given_splits(engine, reporter)
        drop_duplicates(engine, targets, reporter)
    with reporter.activity("splitting"):
        targets, train_only = settle_rare_classes(
            engine, targets, params.min_rows_per_class, params.rare_classes, reporter
        )
        assign_splits(
            engine,
            test_fraction=params.test_fraction,
            validation_fraction=params.validation_fraction,
            seed=params.split_seed,
            grouped=params.group_by is not None,
            targets=targets,
            train_only=train_only,
        )
    with reporter.activity("looking for texts that nearly repeat held-out ones"):
        drop_unlabelled_leaks(engine)
        drop_near_duplicates(
            engine, targets, params.near_duplicates, params.near_duplicate_similarity, reporter
        )
        require_training_rows(engine, targets)
    take_budget(
        engine,
        targets,
        params.label_budget,
        per_class=params.label_budget_per_class,
        seed=params.split_seed,
        reporter=reporter,
    )
    with reporter.activity("looking for duplicates among unlabelled rows"):
        drop_unlabelled_duplicates(engine)
    warn_of_labels_in_text(engine, targets, reporter)
    return targets


def _data(params: Params) -> list[Origin]:
    named = {"source": params.source, "validation": params.validation, "test": params.test}
    origins = [
        Origin(role, uri, params.local_corpus, "ingest.local_corpus")
        for role, uri in named.items()
        if uri is not None
    ]
    return origins + [
        Origin(f"unlabelled.{number}", uri, params.local_corpus, "ingest.local_corpus")
        for number, uri in enumerate(params.unlabelled, start=1)
    ]


def _encoders(params: Params) -> list[Origin]:
    """The encoder, then the further ones, with the roles encoder.1, encoder.2 ..."""
    return [
        Origin(role, uri, params.local_encoder, "ingest.local_encoder")
        for role, uri in [
            ("encoder", params.encoder),
            *((f"encoder.{n}", uri) for n, uri in enumerate(params.more_encoders, start=1)),
        ]
    ]
