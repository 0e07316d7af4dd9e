"""CNN over token embeddings: several kernel widths, masked max and mean pooling."""

from components.shared.convolution import ConvolutionConfig, PooledConvolutions
from components.shared.settings import settings
from components.shared.students._bert import Bert


@settings
class Config(ConvolutionConfig):
    pass


def build(config: Config, *, width: int, max_length_tokens: int) -> PooledConvolutions:
    return PooledConvolutions(config, width, mean=True)


def transfer(body: PooledConvolutions, bert: Bert) -> list[str]:
    """Nothing yet: what BERT knows of words comes in with the embeddings."""
    return []
