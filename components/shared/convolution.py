"""Convolutions over tokens whose result does not depend on how far a batch is padded.

Shapes: B batch, L tokens, D features per token, F filters, K kernel widths.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


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
        keep = mask.unsqueeze(1).to(states.dtype)  # (B, 1, L)
        tokens = states.transpose(1, 2) * keep  # (B, D, L)
        maps = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            before = (width - 1) // 2
            padded = functional.pad(tokens, (before, width - 1 - before))
            maps.append(functional.relu(convolution(padded)))
        activations = torch.cat(maps, dim=1) * keep  # (B, K*F, L), not negative, 0 where padded
        pooled = [activations.amax(dim=2)]
        if self.mean:
            pooled.append(activations.sum(dim=2) / keep.sum(dim=2))
        return torch.cat(pooled, dim=1)
