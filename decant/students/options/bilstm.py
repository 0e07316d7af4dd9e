"""Parameters of the BiLSTM."""

from typing import Annotated

from pydantic import Field

from decant.models.part_options import Pooling
from decant.runtime.settings import settings


@settings
class Config:
    units: Annotated[int, Field(ge=1, le=4096)]
    layers: Annotated[int, Field(ge=1, le=8)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    pooling: Pooling
