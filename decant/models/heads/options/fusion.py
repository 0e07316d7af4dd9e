"""Parameters of feature fusion."""

from typing import Literal

from decant.models.part_options import ConvolutionConfig
from decant.runtime.settings import settings


@settings
class Config(ConvolutionConfig):
    pooling: Literal["mean", "cls"]
