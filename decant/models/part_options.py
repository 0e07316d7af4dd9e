"""The parameters of the parts that heads and students share. It does not import torch."""

from typing import Annotated, Literal

from pydantic import Field

from decant.runtime.settings import settings

Pooling = Literal["mean", "max", "max_mean", "cls"]


@settings
class ConvolutionConfig:
    """Convolutions of several kernel widths, with as many filters each."""

    filters: Annotated[int, Field(ge=1, le=4096)]
    kernel_widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=31)], ...], Field(min_length=1, max_length=8)
    ]
    dropout: Annotated[float, Field(ge=0, lt=1)]
