"""The contract of transfer_weights: its parameters, what it reads and what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from decant.runtime.settings import Seed, settings
from decant.runtime.threads import BLAS, TORCH
from decant.students import typed_options
from decant.students._projected_bert import LayerMatrix
from decant.training.device import Device, Precision

THREADS = (BLAS, TORCH)


@settings
class Params:
    """The student's form, and what it takes over from BERT. See params.yaml."""

    seed: Seed
    device: Device
    precision: Precision
    architecture: str
    students: dict[str, dict[str, Any]]
    width: Annotated[int, Field(ge=1, le=8192)]
    embedding_dropout: Annotated[float, Field(ge=0, lt=1)]
    embeddings: Literal["random", "input", "contextual", "both"]
    encoder: Literal["pretrained", "finetuned"]
    projection: Literal["pca", "truncate"]
    embedding_std: Annotated[float, Field(gt=0, le=10)] | None
    freeze_embeddings: bool
    freeze_layers: bool
    layer_matrix: LayerMatrix
    layer: Annotated[int, Field(ge=0)]
    token_weighting: Literal["none", "sif", "zipf"]
    sif_coefficient: Annotated[float, Field(gt=0, le=1)]
    min_count: Annotated[int, Field(ge=0)]
    vocabulary_size: Annotated[int, Field(ge=1)] | None

    @model_validator(mode="after")
    def _check_students(self) -> Self:
        for name in (self.architecture, *self.students):
            typed_options(name, self.students.get(name, {}))
        return self


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The vocabulary with its counts, and both encoders: pretrained and fine-tuned."""

    tokens: Path
    encoder: Path
    teacher: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The student before any training."""

    initial_student: Path
