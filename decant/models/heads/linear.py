"""Only pooling: the teacher's output layer follows directly."""

from typing import Literal

from torch import Tensor, nn

from decant.models.heads.options.linear import Config
from decant.models.pooling import pool


class Pooled(nn.Module):
    """Mean over the real tokens, or the first token's state, then dropout."""

    def __init__(self, config: Config, hidden_size: int) -> None:
        super().__init__()
        self.pooling: Literal["mean", "cls"] = config.pooling
        self.dropout = nn.Dropout(config.dropout)
        self.output_size = hidden_size

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        features: Tensor = self.dropout(pool(states, mask, self.pooling))
        return features


def build(config: Config, hidden_size: int) -> Pooled:
    return Pooled(config, hidden_size)
