"""The contract of finetune: its parameters, what it reads and what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from decant.models.heads import check_heads
from decant.runtime.settings import Seed, settings
from decant.runtime.threads import TORCH
from decant.training.device import Device
from decant.training.plan import TrainingPlan

PARALLEL = True
THREADS = (TORCH,)


@settings
class Params:
    """The teacher's head, what of it is trained, and how. See params.yaml."""

    seed: Seed
    device: Device
    head: str
    heads: dict[str, dict[str, Any]]
    frozen: Literal["none", "embeddings", "encoder"]
    members: Annotated[int, Field(ge=1, le=100)]
    layer_learning_rate_decay: Annotated[float, Field(gt=0, le=1)]
    class_weights: Literal["none", "balanced"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    consistency_weight: Annotated[float, Field(ge=0, le=100)]
    training: TrainingPlan

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        check_heads(self.head, self.heads, where="finetune.heads")
        return self


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Token ids of all splits, and the pretrained encoder."""

    tokens: Path
    encoder: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The teacher: the main one, and the further members of the ensemble below it."""

    teacher: Path
