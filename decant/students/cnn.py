"""CNN over token embeddings: several kernel widths, masked max and mean pooling."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from decant.models.convolution import PooledConvolutions, middle_tap
from decant.students._layers import layer_matrix
from decant.students._projected_bert import ProjectedBert
from decant.students.options.cnn import Config


def build(config: Config, *, width: int, max_length_tokens: int) -> "DeepConvolutions":
    return DeepConvolutions(config, width)


class DeepConvolutions(PooledConvolutions):
    """Pooled convolutions over the embeddings or, with more layers, over the lower layers.

    Every layer below the pooled one adds to each token the output of its widest kernel there.
    Shapes as for PooledConvolutions: states (B, L, W), mask (B, L) → (B, output_size).
    """

    def __init__(self, config: Config, width: int) -> None:
        super().__init__(config, width, mean=True)
        span = max(config.kernel_widths)
        self.layers = nn.ModuleList(
            TokenConvolution(width, span, config.dropout) for _ in range(config.layers - 1)
        )

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layers:
            states = layer(states, mask)
        return super().forward(states, mask)

    def reading_kernels(self) -> list[nn.Conv1d]:
        """The convolutions that read the embeddings: those of the lowest layer."""
        if len(self.layers):
            return [cast(TokenConvolution, self.layers[0]).convolution]
        return [cast(nn.Conv1d, kernel) for kernel in self.convolutions.convolutions]


class TokenConvolution(nn.Module):
    """states + ReLU(convolution(states)), both (B, L, W); zeros beyond each text's end."""

    def __init__(self, width: int, span: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, span)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        tokens = (states * mask.unsqueeze(2).to(states.dtype)).transpose(1, 2)  # (B, W, L)
        span = self.convolution.kernel_size[0]
        before = middle_tap(span)
        padded = functional.pad(tokens, (before, span - 1 - before))
        added = functional.relu(self.convolution(padded)).transpose(1, 2)
        summed: Tensor = states + self.dropout(added)
        return summed


def transfer(body: DeepConvolutions, bert: ProjectedBert) -> dict[str, bool]:
    """BERT's matrix, read from the student's space (see `reading`), into one tap of each kernel.

    The source article's W_l = Concat(W_BERT, 0), into the kernels that read the embeddings: the
    first kernel's filters take the first rows of the matrix, the second kernel's the rows that
    follow, and so on. A row goes into the tap that meets the token itself, its bias into the
    filter's bias, zeros into the other taps. So before its ReLU a filter gives BERT's own M t + b
    of every token, independent of its neighbours, and learns from there. Filters without a row keep
    their random weights: from zeros they would never learn.
    """
    filled = layer_matrix(bert)
    if filled is None:
        return {}
    weight, bias = filled
    path = {module: name for name, module in body.named_modules()}
    whole: dict[str, bool] = {}
    used = 0
    for kernel in body.reading_kernels():
        rows = slice(used, used + kernel.out_channels)
        count = len(weight[rows])
        if count == 0:
            break
        kernel.weight[:count] = 0
        kernel.weight[:count, :, middle_tap(kernel.kernel_size[0])] = weight[rows]
        kernel.bias[:count] = bias[rows]  # type: ignore[index]
        for name, parameter in kernel.named_parameters():
            whole[f"{path[kernel]}.{name}"] = count == len(parameter)
        used += count
    return whole
