"""Parameters of the small Transformer."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from decant.models.part_options import Pooling
from decant.runtime.settings import settings

LayerIndex = Annotated[int, Field(ge=0)]


@settings
class Config:
    layers: Annotated[int, Field(ge=1, le=48)]
    heads: Annotated[int, Field(ge=1, le=128)]
    head_size: Annotated[int, Field(ge=1, le=1024)]
    intermediate: Annotated[int, Field(ge=1, le=65536)]
    copied_layers: Literal["none", "even", "first"] | tuple[LayerIndex, ...]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    pooling: Pooling

    @model_validator(mode="after")
    def _as_many_as_layers(self) -> Self:
        if isinstance(self.copied_layers, tuple) and len(self.copied_layers) != self.layers:
            raise ValueError(f"copied_layers must name {self.layers} layers, one for each")
        return self
