"""Fetch data and encoder, check every row, split without leakage, take the label budget."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from components.ingest.budget import take_budget
from components.ingest.checks import check_rows
from components.ingest.duplicates import (
    drop_duplicates,
    drop_groups_of_given_splits,
    drop_known_unlabelled,
)
from components.ingest.origins import Origin, fetch_watched, pins_of
from components.ingest.rows import read_rows
from components.ingest.splits import assign_splits
from decant.data.corpus import LABELLED_SPLITS, SPLITS, Schema, write_schema
from decant.models.encoder import MORE_ENCODERS, copy_encoder
from decant.runtime.reporter import Reporter
from decant.runtime.secrets import without_secrets
from decant.runtime.settings import settings
from decant.sources import is_local, pin

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
    group_by: str | None
    labels: Annotated[list[str], Field(min_length=2)] | None
    unlabelled_labels: list[str]
    test_fraction: Fraction
    validation_fraction: Fraction
    split_seed: Annotated[int, Field(ge=0, lt=2**32)]
    label_budget: Annotated[int, Field(ge=1)] | None
    label_budget_per_class: bool
    encoder: Annotated[str, Field(min_length=1)]
    more_encoders: list[Annotated[str, Field(min_length=1)]]
    local_encoder: Annotated[str, Field(min_length=1)]


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
    """Write the corpus and the encoder artifact.

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
            facts = copy_encoder(fetch_watched(origin), folder)
        for fact in facts:
            reporter.message(f"{origin.role}: {fact}")
    rows, labels = prepare_rows(params, reporter)
    schema = Schema(
        labels=tuple(labels),
        text_column=params.text_column,
        label_column=params.label_column,
        group_column=params.group_by,
    )
    with reporter.activity("writing the corpus"):
        _write(rows, schema, outputs.corpus)
    _report(rows, schema, reporter)


def prepare_rows(params: Params, reporter: Reporter) -> tuple[pd.DataFrame, list[str]]:
    """All rows of the data, each with its split or the reason why it is rejected; the classes.

    Columns as `read_rows` has them. Nothing is written.

    Raises:
        UserError: whatever of the data or its parameters the user can fix.
    """
    with reporter.activity(f"reading {without_secrets(params.source)}"):
        rows = read_rows(
            _data(params),
            format_name=params.format,
            text_column=params.text_column,
            label_column=params.label_column,
            group_column=params.group_by,
        )
    with reporter.activity("checking the rows"):
        labels = check_rows(rows, params.labels, params.unlabelled_labels)
    with reporter.activity("looking for duplicates"):
        drop_groups_of_given_splits(rows, reporter)
        drop_duplicates(rows, reporter)
    assign_splits(
        rows,
        test_fraction=params.test_fraction,
        validation_fraction=params.validation_fraction,
        seed=params.split_seed,
        grouped=params.group_by is not None,
        labels=labels,
    )
    take_budget(
        rows,
        labels,
        params.label_budget,
        per_class=params.label_budget_per_class,
        seed=params.split_seed,
        reporter=reporter,
    )
    with reporter.activity("looking for duplicates among unlabelled rows"):
        drop_known_unlabelled(rows)
    return rows, labels


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


def _write(rows: pd.DataFrame, schema: Schema, folder: Path) -> None:
    """Every row goes to exactly one split or to the rejected ones."""
    if (rows["split"].notna() == rows["reason"].notna()).any():
        raise RuntimeError("a row is neither kept nor rejected, or both")
    write_schema(folder, schema)
    for split in SPLITS:
        columns = ["row_id", "text", "label", "group"]
        if split == "unlabelled":
            columns.remove("label")
        kept = rows.loc[rows["split"] == split, columns]
        kept.to_parquet(folder / f"{split}.parquet", index=False)
    rejected = rows.loc[rows["reason"].notna(), ["source", "row", "reason", "text"]]
    rejected.to_parquet(folder / "rejected.parquet", index=False)


def _report(rows: pd.DataFrame, schema: Schema, reporter: Reporter) -> None:
    sizes = rows["split"].value_counts()
    reporter.metric("rows_in", len(rows))
    for split in SPLITS:
        reporter.metric(f"rows_{split}", int(sizes.get(split, 0)))
    reporter.metric("rows_rejected", int(rows["reason"].notna().sum()))
    reporter.metric("classes", len(schema.labels))
    reporter.metric("labels_withheld", int(rows["withheld"].sum()))
    kinds = rows["kind"].value_counts()
    for kind in sorted(kinds.index):
        reporter.metric(f"rejected_{kind}", int(kinds[kind]))
    counts = rows.groupby(["label", "split"]).size()
    table = [
        [label, *(int(counts.get((label, split), 0)) for split in LABELLED_SPLITS), ""]
        for label in schema.labels
    ]
    table.append(["all", *(int(sizes.get(split, 0)) for split in SPLITS)])
    reporter.table("rows per class and split", ("class", *SPLITS), table)
    reporter.message(
        f"{len(rows)} rows in = {int(sizes.sum())} kept + {int(rows['reason'].notna().sum())} "
        f"rejected ({', '.join(f'{kinds[kind]} {kind}' for kind in kinds.index) or 'none'}; "
        "each with its reason in rejected.parquet)"
    )
