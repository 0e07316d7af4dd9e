"""Parameters of pooling alone."""

from typing import Annotated, Literal

from pydantic import Field

from decant.runtime.settings import settings


@settings
class Config:
    pooling: Literal["mean", "cls"]
    dropout: Annotated[float, Field(ge=0, lt=1)]
