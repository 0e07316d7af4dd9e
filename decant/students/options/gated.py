"""Parameters of the gated average."""

from typing import Annotated

from pydantic import Field

from decant.runtime.settings import settings


@settings
class Config:
    units: Annotated[int, Field(ge=1, le=4096)]
    kernel_width: Annotated[int, Field(ge=1, le=32)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
