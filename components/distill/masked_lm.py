"""Words replaced by predictions of BERT's own masked-LM head.

After Wu et al. 2019, "Conditional BERT Contextual Augmentation" (arXiv:1812.06705), without the
condition on the label: the teacher labels the new text.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.distill.word_pieces import WordPieces
from decant.data.tokens import TokenRows, TokensInfo, pad
from decant.models.encoder_weights import load_pretrained
from decant.runtime.errors import UserError

BATCH_ROWS = 64


def load_masked_lm(encoder: Path) -> nn.Module:
    """The pretrained encoder with its masked-LM head. Raises UserError when it has none."""
    from transformers import AutoModelForMaskedLM

    model: nn.Module
    model, missing = load_pretrained(AutoModelForMaskedLM, encoder)
    if missing:
        raise UserError(
            f"the encoder has no masked-LM head: {missing[0]} is not among its weights",
            code="masked-lm-head-missing",
            hint="set distill.augmentation.replace_with to neighbours, or take an encoder that "
            "was saved with its head",
        )
    model.eval()
    return model


@torch.inference_mode()
def replaced_words(
    rows: TokenRows,
    model: nn.Module,
    pieces: WordPieces,
    info: TokensInfo,
    *,
    probability: float,
    choices: int,
    seed: list[int],
    device: torch.device,
) -> list[NDArray[np.int32]]:
    """Each row with some of its words replaced by others, in the order of the rows.

    At a masked place, one of the `choices` most likely other words is drawn by its probability.
    All places of a row are masked at once.

    Args:
        pieces: which of them are whole words: these may be replaced, and may replace others.
    """
    random = np.random.default_rng(seed)
    model = model.to(device)
    result: list[NDArray[np.int32]] = [np.empty(0, np.int32)] * len(rows)
    order = np.argsort(rows.lengths, kind="stable")
    allowed = np.flatnonzero(pieces.words)
    choices = min(choices, len(allowed) - 1)  # without the word itself
    for start in range(0, len(order), BATCH_ROWS):
        chosen = order[start : start + BATCH_ROWS]
        ids = pad((rows[row] for row in chosen), info.pad_id)
        places = pieces.whole_words(ids) & (random.random(ids.shape) < probability)
        if places.any() and choices > 0:
            masked = torch.from_numpy(np.where(places, info.mask_id, ids)).to(device)
            output: Any = model(input_ids=masked, attention_mask=(masked != info.pad_id).long())
            scores = output.logits[torch.from_numpy(places).to(device)].float().cpu().numpy()
            itself = allowed == ids[places][:, None]
            scores = np.where(itself, -np.inf, scores[:, allowed])
            ids[places] = _draw(scores, allowed, choices, random)
        for row, new in zip(chosen, ids, strict=True):
            result[row] = new[: rows.lengths[row]].astype(np.int32)
    return result


def _draw(
    scores: NDArray[np.float32],
    allowed: NDArray[np.int64],
    choices: int,
    random: np.random.Generator,
) -> NDArray[np.int64]:
    """One of the best `choices` per place, by its probability (Gumbel's trick)."""
    best = np.argpartition(-scores, choices - 1, axis=1)[:, :choices]
    best = np.sort(best, axis=1)
    noisy = np.take_along_axis(scores, best, axis=1) + random.gumbel(size=best.shape)
    return allowed[np.take_along_axis(best, noisy.argmax(1)[:, None], axis=1)[:, 0]]
