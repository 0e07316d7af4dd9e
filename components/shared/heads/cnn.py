"""BertCNN: a convolutional network over BERT's token states."""

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


class CnnHead(nn.Module):
    """Several kernel widths over all token states, masked max pooling, then one layer."""

    def __init__(self, config: Config, hidden_size: int, classes: int) -> None:
        super().__init__()
        self.convolutions = MaskedConvolutions(
            hidden_size, config.filters, config.kernel_widths, mean=False
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(self.convolutions.output_size, classes)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self.output(self.dropout(self.convolutions(states, mask)))
        return logits


def build(config: Config, hidden_size: int, classes: int) -> CnnHead:
    return CnnHead(config, hidden_size, classes)
