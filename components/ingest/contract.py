"""The contract of ingest: its parameters, what it reads and what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from components.ingest.origins import Origin, pins_of
from decant.runtime.errors import UserError
from decant.runtime.settings import settings
from decant.tasks.declared import Declared, declared_target, declared_targets
from decant.tasks.spec import typed_options

Fraction = Annotated[float, Field(gt=0, le=0.5)]
Similarity = Annotated[float, Field(ge=0.5, lt=1)]
MinRows = Annotated[int, Field(ge=1, le=1_000_000)]
NearDuplicates = Literal["drop", "drop_all", "report", "ignore"]
RareClasses = Literal["refuse", "drop", "train_only"]


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
            return [only]
        for name, value in (("labels", self.labels), ("metric", self.metric)):
            if value is not None:
                raise UserError(
                    f"ingest.{name} is of one target, but ingest.targets lists several",
                    code="parameter-conflict",
                    hint=f"set ingest.{name} to null, and give each target its own {name}",
                )
        return list(declared_targets(self.targets, self.kinds))


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
    return pins_of([*data_origins(params), *encoder_origins(params)])


def data_origins(params: Params) -> list[Origin]:
    """The labelled data, given splits, then the unlabelled files: unlabelled.1, unlabelled.2 ..."""
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


def encoder_origins(params: Params) -> list[Origin]:
    """The encoder, then the further ones, with the roles encoder.1, encoder.2 ..."""
    return [
        Origin(role, uri, params.local_encoder, "ingest.local_encoder")
        for role, uri in [
            ("encoder", params.encoder),
            *((f"encoder.{n}", uri) for n, uri in enumerate(params.more_encoders, start=1)),
        ]
    ]
