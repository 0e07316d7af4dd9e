"""Feature fusion: BERT's own features of the text beside those of convolutions over its states."""

from typing import Literal

import torch
from torch import Tensor, nn

from decant.models.convolution import PooledConvolutions
from decant.models.heads.options.fusion import Config
from decant.models.pooling import pool


class Fusion(nn.Module):
    """states (B, L, H), mask (B, L) → (B, H + F): pooled states, then the convolutions' maxima."""

    def __init__(self, config: Config, hidden_size: int) -> None:
        super().__init__()
        self.pooling: Literal["mean", "cls"] = config.pooling
        self.convolutions = PooledConvolutions(config, hidden_size, mean=False)
        self.dropout = nn.Dropout(config.dropout)
        self.output_size = hidden_size + self.convolutions.output_size

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        pooled = self.dropout(pool(states, mask, self.pooling))
        return torch.cat([pooled, self.convolutions(states, mask)], dim=1)


def build(config: Config, hidden_size: int) -> Fusion:
    return Fusion(config, hidden_size)
