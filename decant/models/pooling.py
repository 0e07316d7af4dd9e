"""From the states of a text's tokens to features of the text, independent of how a batch is padded.

Shapes: B batch, L tokens, D features per token.
"""

import torch
from torch import Tensor

from decant.models.part_options import Pooling


def pool(states: Tensor, mask: Tensor, how: Pooling) -> Tensor:
    """Over the real tokens: their mean, their maximum, both side by side, or the first one's state.

    states (B, L, D), mask (B, L) of bool with at least one True a row → (B, pooled_size).
    """
    if how == "cls":
        return states[:, 0]
    keep = mask.unsqueeze(2)  # (B, L, 1)
    parts = []
    if how in ("max", "max_mean"):
        parts.append(states.masked_fill(~keep, float("-inf")).amax(dim=1))
    if how in ("mean", "max_mean"):
        ones = keep.to(states.dtype)
        parts.append((states * ones).sum(dim=1) / ones.sum(dim=1))
    return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


def pooled_size(features: int, how: Pooling) -> int:
    """Features of the text, of so many per token."""
    return 2 * features if how == "max_mean" else features
