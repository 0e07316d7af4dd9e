"""A model's outputs for many rows, fast: sorted by length, small batches, bfloat16."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decant.data.tokens import TokenRows, pad


@torch.inference_mode()
def predict_logits(
    model: nn.Module,
    rows: TokenRows,
    *,
    pad_id: int,
    device: torch.device,
    bfloat16: bool,
    tokens_per_batch: int,
    advance: Callable[[int], None] = lambda rows: None,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> NDArray[np.float32]:
    """Logits (rows, classes), in the order of the rows.

    `forward`: another method of the model to call, such as `features`.
    `bfloat16`: the model is left with weights in bfloat16.

    Rows are sorted by length, so that little is padded. `tokens_per_batch` bounds a batch: on a
    processor a batch that stays in its cache is faster than a large one.
    """
    order = np.argsort(rows.lengths, kind="stable")
    # Weights in bfloat16: autocast would convert them for every batch.
    model = model.to(device, torch.bfloat16 if bfloat16 else None).eval()
    result: NDArray[np.float32] | None = None
    start = 0
    while start < len(order):
        # the longest row of the batch is its last, so look as far ahead as the bound allows
        size = max(1, tokens_per_batch // max(1, int(rows.lengths[order[start]])))
        while size > 1 and (
            size * int(rows.lengths[order[min(start + size, len(order)) - 1]]) > tokens_per_batch
        ):
            size -= 1
        chosen = order[start : start + size]
        ids = torch.from_numpy(pad((rows[index] for index in chosen), pad_id)).to(device)
        logits = (forward or model)(ids).float().cpu().numpy()
        if result is None:
            result = np.zeros((len(order), logits.shape[1]), dtype=np.float32)
        result[chosen] = logits
        start += size
        advance(len(chosen))
    if result is None:
        raise ValueError("no rows to predict")
    return result
