"""CNN over token embeddings: several kernel widths, masked max and mean pooling."""

from collections.abc import Iterable
from typing import cast

from torch import nn

from components.shared.convolution import ConvolutionConfig, PooledConvolutions, middle_tap
from components.shared.settings import settings
from components.shared.students._bert import Bert
from components.shared.students._layers import layer_matrix


@settings
class Config(ConvolutionConfig):
    pass


def build(config: Config, *, width: int, max_length_tokens: int) -> PooledConvolutions:
    return PooledConvolutions(config, width, mean=True)


def transfer(body: PooledConvolutions, bert: Bert) -> list[str]:
    """BERT's matrix, read from the student's space (see `reading`), into one tap of each kernel.

    The source article's W_l = Concat(W_BERT, 0): the first kernel's filters take the first rows of
    the matrix, the second kernel's the rows that follow, and so on. A row goes into the tap that
    meets the token itself, its bias into the filter's bias, zeros into the other taps. So before
    its ReLU a filter gives BERT's own M t + b of every token, whatever stands beside it, and learns
    from there. Filters for which no row is left keep their random weights: with zeros only they
    would never learn.
    """
    filled = layer_matrix(bert)
    if filled is None:
        return []
    weight, bias = filled
    names, used = [], 0
    for index, kernel in enumerate(cast(Iterable[nn.Conv1d], body.convolutions.convolutions)):
        rows = slice(used, used + kernel.out_channels)
        count = len(weight[rows])
        if count == 0:
            break
        kernel.weight[:count] = 0
        kernel.weight[:count, :, middle_tap(kernel.kernel_size[0])] = weight[rows]
        kernel.bias[:count] = bias[rows]  # type: ignore[index]
        names += [f"convolutions.convolutions.{index}.{part}" for part in ("weight", "bias")]
        used += count
    return names
