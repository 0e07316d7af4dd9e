"""Fetch data and encoder, check every row, split without leakage, take the label budget."""

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
from components.ingest.label_in_text import warn_of_labels_in_text
from components.ingest.near_duplicates import drop_near_duplicates
from components.ingest.origins import fetch_watched
from components.ingest.rare_classes import settle_rare_classes
from components.ingest.rows import load_rows
from components.ingest.splits import assign_splits, require_training_rows
from decant.data.corpus import Schema, write_schema
from decant.models.encoder import MORE_ENCODERS, copy_encoder
from decant.runtime.reporter import Reporter
from decant.runtime.secrets import without_secrets
from decant.sources import is_local, pin
from decant.tables import Engine, table_engine


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
            facts = copy_encoder(fetch_watched(origin), folder)
        for fact in facts:
            reporter.message(f"{origin.role}: {fact}")
    with table_engine(outputs.corpus) as engine:
        labels = prepare_rows(engine, params, reporter)
        schema = Schema(
            labels=tuple(labels),
            text_column=params.text_column,
            label_column=params.label_column,
            group_column=params.group_by,
        )
        write_schema(outputs.corpus, schema)
        with reporter.activity("writing the corpus"):
            write_splits(engine, outputs.corpus)
        report_rows(engine, labels, reporter)


def prepare_rows(engine: Engine, params: Params, reporter: Reporter) -> list[str]:
    """Load all rows of the data, each with its split or the reason why it is rejected; the classes.

    rows.py has the tables. Nothing else is written.

    Raises:
        UserError: whatever of the data or its parameters the user can fix.
    """
    with reporter.activity(f"reading {without_secrets(params.source)}"):
        load_rows(
            data_origins(params),
            engine,
            reporter,
            format_name=params.format,
            text_column=params.text_column,
            label_column=params.label_column,
            group_column=params.group_by,
        )
    with reporter.activity("checking the rows"):
        labels = check_rows(engine, params.labels, params.unlabelled_labels, reporter)
    with reporter.activity("looking for duplicates"):
        drop_groups_of_given_splits(engine, reporter)
        drop_duplicates(engine, reporter)
    with reporter.activity("splitting"):
        labels, train_only = settle_rare_classes(
            engine, labels, params.min_rows_per_class, params.rare_classes, reporter
        )
        assign_splits(
            engine,
            test_fraction=params.test_fraction,
            validation_fraction=params.validation_fraction,
            seed=params.split_seed,
            grouped=params.group_by is not None,
            labels=labels,
            train_only=train_only,
        )
    with reporter.activity("looking for texts that nearly repeat held-out ones"):
        drop_unlabelled_leaks(engine)
        drop_near_duplicates(
            engine, params.near_duplicates, params.near_duplicate_similarity, reporter
        )
        require_training_rows(engine, labels)
    take_budget(
        engine,
        labels,
        params.label_budget,
        per_class=params.label_budget_per_class,
        seed=params.split_seed,
        reporter=reporter,
    )
    with reporter.activity("looking for duplicates among unlabelled rows"):
        drop_unlabelled_duplicates(engine)
    warn_of_labels_in_text(engine, reporter)
    return labels
