"""Fetch data and encoder, check every row, split without leakage, take the label budget."""

from collections.abc import Sequence

from components.ingest.budget import take_budget
from components.ingest.checks import check_rows
from components.ingest.contract import Inputs, Outputs, Params, data_origins, encoder_origins
from components.ingest.corpus_files import report_rows, write_splits
from components.ingest.duplicates import (
    drop_duplicates,
    drop_groups_of_given_splits,
    drop_unlabelled_duplicates,
    drop_unlabelled_leaks,
)
from components.ingest.encoder_files import encoder_files
from components.ingest.label_in_text import warn_of_labels_in_text
from components.ingest.near_duplicates import drop_near_duplicates
from components.ingest.origins import fetch_watched
from components.ingest.rare_classes import settle_rare_classes
from components.ingest.rows import load_rows
from components.ingest.splits import assign_splits, require_training_rows
from decant.data.corpus import Schema, write_schema
from decant.models.encoder import MORE_ENCODERS
from decant.runtime.reporter import Reporter
from decant.runtime.secrets import without_secrets
from decant.sources import is_local, pin
from decant.tables import Engine, table_engine
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of
from decant.tasks.spelling import respelled
from decant.tasks.task import Task


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Write the corpus and the encoder artifact; memory use does not grow with the rows.

    Raises:
        UserError: a mistake in data, encoder or parameters that the user can fix.
    """
    for origin in (*data_origins(params), *encoder_origins(params)):
        if not is_local(origin.uri):
            shown = without_secrets(origin.uri)
            reporter.message(f"{origin.role}: {shown}, pinned as {pin(origin.uri)}")
    for number, origin in enumerate(encoder_origins(params)):
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
            data_origins(params),
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
