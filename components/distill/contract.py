"""The contract of distill: its parameters, what it reads and what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from decant.runtime.settings import Seed, settings
from decant.runtime.threads import BLAS, TORCH
from decant.training.device import Device, Precision
from decant.training.plan import TrainingPlan

T = TypeVar("T")
Pair = Annotated[list[T], Field(min_length=2, max_length=2)]
# In an error the tags name the form that was given: distill.temperature.pair.1: ...
Scheduled = Annotated[
    Annotated[T, Tag("number")] | Annotated[Pair[T], Tag("pair")],
    Discriminator(lambda value: "pair" if isinstance(value, list) else "number"),
]
Probability = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(gt=0, le=100)]
MatchingWeight = Annotated[float, Field(ge=0, le=1000)]

PARALLEL = True
THREADS = (BLAS, TORCH)


@settings
class Augmentation:
    """How each row and word of a copy may change; a word is masked, replaced, or unchanged."""

    mask_probability: Probability
    replace_probability: Probability
    replace_with: Literal["neighbours", "masked_lm"]
    neighbours: Annotated[int, Field(ge=1, le=1000)]
    splice_probability: Probability
    span_probability: Probability

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = self.mask_probability + self.replace_probability
        if total > 1:
            raise ValueError(
                f"mask_probability + replace_probability is {total:g}, but at most 1 is allowed: "
                "a word is masked or replaced, not both"
            )
        return self


@settings
class Params:
    """What the student learns from, with which loss, and for how long. See params.yaml."""

    seed: Seed
    device: Device
    teacher_precision: Precision
    allow_weak_teacher: bool
    loss: Literal["mse", "kl"]
    temperature: Scheduled[Temperature]
    hard_label_weight: Scheduled[Weight]
    hidden_weight: Scheduled[MatchingWeight]
    embedding_weight: Scheduled[MatchingWeight]
    embedding_learning_rate_share: Weight
    control_per_target: bool
    transfer_rows: Annotated[int, Field(ge=0, le=1_000_000_000)]
    epoch_rows: Annotated[int, Field(ge=1, le=1_000_000_000)]
    real_row_share: Annotated[float, Field(gt=0, le=1)]
    augmentation: Augmentation
    training: TrainingPlan
    undistilled_training: TrainingPlan


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Token ids of all splits, the encoder, the teacher, and the student before training."""

    tokens: Path
    encoder: Path
    teacher: Path
    initial_student: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The distilled student, and the same one trained on the labels alone."""

    student: Path
    undistilled: Path
