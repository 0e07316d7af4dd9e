"""BertCNN: several kernel widths over BERT's token states, masked max pooling."""

from decant.models.convolution import PooledConvolutions
from decant.models.heads.options.cnn import Config


def build(config: Config, hidden_size: int) -> PooledConvolutions:
    return PooledConvolutions(config, hidden_size, mean=False)
