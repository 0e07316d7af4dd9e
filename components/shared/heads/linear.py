"""Nothing but pooling: the teacher's output layer follows at once."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from components.shared.settings import settings


@settings
class Config:
    pooling: Literal["mean", "cls"]
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Pooled(nn.Module):
    """Mean over the real tokens, or the first token's state, then dropout."""

    def __init__(self, config: Config, hidden_size: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.dropout = nn.Dropout(config.dropout)
        self.output_size = hidden_size

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "cls":
            pooled = states[:, 0]
        else:
            keep = mask.unsqueeze(2).to(states.dtype)  # (B, L, 1)
            pooled = (states * keep).sum(dim=1) / keep.sum(dim=1)
        features: Tensor = self.dropout(pooled)
        return features


def build(config: Config, hidden_size: int) -> Pooled:
    return Pooled(config, hidden_size)
