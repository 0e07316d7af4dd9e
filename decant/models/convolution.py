"""Convolutions over tokens whose result does not depend on how far a batch is padded.

Shapes: B batch, L tokens, D features per token, F filters, K kernel widths.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from decant.models.part_options import ConvolutionConfig
from decant.models.pooled_taps import pooled_taps


class PooledConvolutions(nn.Module):
    """MaskedConvolutions with dropout behind: states (B, L, D), mask (B, L) → (B, output_size)."""

    def __init__(self, config: ConvolutionConfig, width: int, *, mean: bool) -> None:
        super().__init__()
        self.convolutions = MaskedConvolutions(
            width, config.filters, config.kernel_widths, mean=mean
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output_size = self.convolutions.output_size

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Features (B, F) of states (B, L, D) and mask (B, L)."""
        features: Tensor = self.dropout(self.convolutions(states, mask))
        return features


class MaskedConvolutions(nn.Module):
    """Parallel 1-D convolutions, then max and (optionally) mean over the real tokens.

    Every kernel sees zeros beyond the text, also where the batch is padded, and padded positions
    take no part in the pooling. So a text has the same features in every batch, and one token is
    enough. (The BertCNN that gave the idea pools with a fixed window over all positions, which
    holds only where exactly one position is left.) After Kim 2014, arXiv:1408.5882.

    Args:
        features: D.
        filters: F, per kernel width.
        kernel_widths: tokens that each kernel spans.
        mean: whether the mean is pooled beside the maximum.

    forward: states (B, L, D), mask (B, L) of bool with at least one True a row → (B, output_size).
    """

    def __init__(
        self, features: int, filters: int, kernel_widths: Sequence[int], *, mean: bool
    ) -> None:
        super().__init__()
        self.mean = mean
        self.widths = tuple(kernel_widths)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(features, filters, width) for width in kernel_widths
        )
        self.output_size = filters * len(self.widths) * (2 if mean else 1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """The maxima, then the means if any, (B, output_size) of states (B, L, D), mask (B, L)."""
        if self.training:
            return self._in_one_product(states, mask)
        keep = mask.unsqueeze(1).to(states.dtype)  # (B, 1, L)
        tokens = states.transpose(1, 2) * keep  # (B, D, L)
        maps = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            before = middle_tap(width)
            padded = functional.pad(tokens, (before, width - 1 - before))
            maps.append(functional.relu(convolution(padded)))
        activations = torch.cat(maps, dim=1) * keep  # (B, K*F, L), not negative, 0 where padded
        pooled = [activations.amax(dim=2)]
        if self.mean:
            pooled.append(activations.sum(dim=2) / keep.sum(dim=2))
        return torch.cat(pooled, dim=1)

    def _in_one_product(self, states: Tensor, mask: Tensor) -> Tensor:
        """The same, up to rounding: the taps of all kernels are one matrix, then shifted and added.

        Per step of a training it is about twice as fast as one convolution per width. A graph to
        export has convolutions, whose forms export_onnx knows.
        """
        kernels = [cast(nn.Conv1d, kernel) for kernel in self.convolutions]
        weights = [kernel.weight.permute(2, 0, 1).flatten(0, 1) for kernel in kernels]
        taps = functional.linear(states * mask.unsqueeze(2), torch.cat(weights))
        bias = torch.cat([cast(Tensor, kernel.bias) for kernel in kernels])
        firsts = tuple(-middle_tap(width) for width in self.widths)
        return pooled_taps(taps, bias, mask, widths=self.widths, firsts=firsts, mean=self.mean)


def middle_tap(width: int) -> int:
    """Which tap of a kernel meets the token whose value it computes.

    The taps before it meet the tokens before. An even width has one more behind.
    """
    return (width - 1) // 2
