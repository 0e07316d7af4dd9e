"""The parameters of a training run. It does not import torch."""

from typing import Annotated, Literal

from pydantic import Field

from decant.runtime.settings import settings
from decant.training.device import Precision


@settings
class TrainingPlan:
    """How long and how fast to learn; the same for teacher, student and control."""

    epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[int, Field(ge=1, le=8192)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    schedule: Literal["linear", "cosine", "constant_with_warmup"]
    warmup_share: Annotated[float, Field(ge=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    max_gradient_norm: Annotated[float, Field(gt=0)]
    patience_epochs: Annotated[int, Field(ge=1)]
    precision: Precision
