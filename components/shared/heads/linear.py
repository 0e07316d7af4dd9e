"""A linear layer over the pooled token states."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from components.shared.settings import settings


@settings
class Config:
    pooling: Literal["mean", "cls"]
    dropout: Annotated[float, Field(ge=0, lt=1)]


class LinearHead(nn.Module):
    """Mean over the real tokens, or the first token's state, then dropout and one layer."""

    def __init__(self, config: Config, hidden_size: int, classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(hidden_size, classes)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "cls":
            pooled = states[:, 0]
        else:
            keep = mask.unsqueeze(2).to(states.dtype)  # (B, L, 1)
            pooled = (states * keep).sum(dim=1) / keep.sum(dim=1)
        logits: Tensor = self.output(self.dropout(pooled))
        return logits


def build(config: Config, hidden_size: int, classes: int) -> LinearHead:
    return LinearHead(config, hidden_size, classes)
