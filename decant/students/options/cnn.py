"""Parameters of the CNN."""

from typing import Annotated

from pydantic import Field

from decant.models.part_options import ConvolutionConfig
from decant.runtime.settings import settings


@settings
class Config(ConvolutionConfig):
    layers: Annotated[int, Field(ge=1, le=32)]
