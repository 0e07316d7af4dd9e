"""Parameters of the mean of the embeddings."""

from typing import Annotated

from pydantic import Field

from decant.runtime.settings import settings


@settings
class Config:
    hidden: Annotated[int, Field(ge=0, le=8192)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
