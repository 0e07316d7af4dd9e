"""The taps of several kernels, added where they meet, and pooled: one operation with its gradient.

Written out, since the gradient of each shift would else be a tensor of zeros, and those of maximum
and ReLU comparisons, which a processor does slowly: the operations around the matrix product took
nine tenths of a small student's training step.

Shapes: B batch, L tokens, F filters, K kernels, W their widths.
"""

from typing import Any

import torch
from torch import Tensor


def pooled_taps(
    taps: Tensor,
    bias: Tensor,
    mask: Tensor,
    *,
    widths: tuple[int, ...],
    firsts: tuple[int, ...],
    mean: bool,
) -> Tensor:
    """The maximum over the tokens and, if asked for, the mean, of ReLU(sum of the taps + bias).

    Args:
        taps: (B, L, F * sum(W)): of each token by each tap, tap by tap of kernel by kernel; zero
            beyond a text's end.
        bias: (K*F,).
        mask: (B, L) of bool, at least one True a row.
        firsts: of each kernel, where its first tap lies from the token that it computes: -1 is
            the token before.

    Returns (B, K*F), or (B, 2*K*F) with the means behind.
    """
    pooled: Tensor = _PooledTaps.apply(taps, bias, mask, widths, firsts, mean)  # type: ignore[no-untyped-call]
    return pooled


class _PooledTaps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        taps: Tensor,
        bias: Tensor,
        mask: Tensor,
        widths: tuple[int, ...],
        firsts: tuple[int, ...],
        mean: bool,
    ) -> Tensor:
        maps = taps.new_zeros((*mask.shape, len(bias)))
        for own, part, to, of in _parts(maps, taps, widths, firsts):
            own[:, to] += part[:, of]
        maps.add_(bias).relu_().mul_(mask.unsqueeze(2))
        highest = maps.amax(dim=1)
        tokens = mask.sum(dim=1, keepdim=True)
        ctx.save_for_backward(maps, highest, tokens)
        ctx.widths, ctx.firsts, ctx.mean, ctx.of_bias = widths, firsts, mean, bias.dtype
        return torch.cat([highest, maps.sum(dim=1) / tokens] if mean else [highest], dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, highest, tokens = ctx.saved_tensors
        size = maps.shape[2]
        is_highest = (maps - highest.unsqueeze(1)).sign_().add_(1)  # 1 or 0
        share = gradient[:, :size] * highest.sign() / is_highest.sum(dim=1)  # ties share it
        of_maps = is_highest.mul_(share.to(maps.dtype).unsqueeze(1))
        if ctx.mean:
            of_mean = (gradient[:, size:] / tokens).to(maps.dtype)
            of_maps.addcmul_(maps.sign(), of_mean.unsqueeze(1))  # a map is 0 where ReLU or mask is
        of_taps = maps.new_empty((*maps.shape[:2], size // len(ctx.widths) * sum(ctx.widths)))
        for own, part, to, of in _parts(of_maps, of_taps, ctx.widths, ctx.firsts):
            part[:, of] = own[:, to]
            part[:, : of.start] = 0
            part[:, of.stop :] = 0
        return of_taps, of_maps.sum(dim=(0, 1), dtype=ctx.of_bias), None, None, None, None


def _parts(
    maps: Tensor, taps: Tensor, widths: tuple[int, ...], firsts: tuple[int, ...]
) -> list[tuple[Tensor, Tensor, slice, slice]]:
    """Per tap the maps of its kernel, its own part, and the positions of both that meet."""
    length, filters = maps.shape[1], maps.shape[2] // len(widths)
    parts, at = [], 0
    for kernel, (width, first) in enumerate(zip(widths, firsts, strict=True)):
        own = maps[:, :, kernel * filters : (kernel + 1) * filters]
        for offset in range(first, first + width):
            # position `to` of the maps takes what the tap gives for the token `offset` from it
            start, stop = max(-offset, 0), min(length - offset, length)
            start, stop = min(start, length), max(min(start, length), stop)
            to, of = slice(start, stop), slice(start + offset, stop + offset)
            if start == stop:
                of = slice(0, 0)
            parts.append((own, taps[:, :, at : at + filters], to, of))
            at += filters
    return parts
