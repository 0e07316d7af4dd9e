"""BertCNN: several kernel widths over BERT's token states, masked max pooling."""

from decant.models.convolution import ConvolutionConfig, PooledConvolutions
from decant.runtime.settings import settings


@settings
class Config(ConvolutionConfig):
    pass


def build(config: Config, hidden_size: int) -> PooledConvolutions:
    return PooledConvolutions(config, hidden_size, mean=False)
