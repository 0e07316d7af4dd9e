"""CNN over token embeddings: several kernel widths, masked max and mean pooling."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from components.shared.convolution import MaskedConvolutions
from components.shared.settings import settings


@settings
class Config:
    filters: Annotated[int, Field(ge=1, le=4096)]
    kernel_widths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=31)], ...], Field(min_length=1, max_length=8)
    ]
    dropout: Annotated[float, Field(ge=0, lt=1)]


class Cnn(nn.Module):
    """embedded (B, L, D), mask (B, L) → logits (B, classes)."""

    def __init__(self, config: Config, width: int, classes: int) -> None:
        super().__init__()
        self.convolutions = MaskedConvolutions(
            width, config.filters, config.kernel_widths, mean=True
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(self.convolutions.output_size, classes)

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self.output(self.dropout(self.convolutions(embedded, mask)))
        return logits


def build(config: Config, width: int, classes: int) -> Cnn:
    return Cnn(config, width, classes)


def transfer(body: Cnn, encoder: nn.Module, projection: Tensor) -> list[str]:
    """Nothing: BERT has no convolutions. What it knows of words comes in with the embeddings."""
    return []
