"""The teacher's logits over the transfer set, computed once and cached by content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from components.shared.cache import cache_folder, write_once
from components.shared.errors import UserError
from components.shared.identity import code_digest, file_digest, lock_digest, text_digest
from components.shared.reporter import Reporter
from components.shared.teacher import WEIGHTS, load_teacher
from components.shared.tokens import TokenRows
from components.shared.training.inference import predict_logits

TOKENS_PER_BATCH = 512


def soft_targets(
    teacher: Path,
    shards: Sequence[TokenRows],
    *,
    device: torch.device,
    bfloat16: bool,
    reporter: Reporter,
) -> NDArray[np.float32]:
    """Logits (rows of all shards, classes), in order.

    Every shard is a file of its own in the cache, under a digest of all that decides its bytes:
    the teacher, the shard's token ids, the precision, the libraries and the code. More copies, or
    another loss, use again what is there.

    Raises UserError when the teacher has diverged: a logit is no number.
    """
    folder = cache_folder() / "logits"
    model_files = (WEIGHTS, "teacher.json", "config.json")
    weights = " ".join(file_digest(teacher / name) for name in model_files)
    settings = (
        f"{device.type} bfloat16={bfloat16} tokens={TOKENS_PER_BATCH} threads="
        f"{torch.get_num_threads()} lock={lock_digest()} code={code_digest('distill')}"
    )
    files = [
        folder / f"{text_digest(f'{weights} {rows_digest(shard)} {settings}')}.npy"
        for shard in shards
    ]
    missing = [index for index, file in enumerate(files) if not file.is_file()]
    if missing:
        rows = sum(len(shards[index]) for index in missing)
        model = load_teacher(teacher)
        with reporter.progress("teacher's logits", rows) as advance:
            for index in missing:
                logits = predict_logits(
                    model,
                    shards[index],
                    pad_id=model.config.pad_id,
                    device=device,
                    bfloat16=bfloat16,
                    tokens_per_batch=TOKENS_PER_BATCH * (64 if device.type == "cuda" else 1),
                    advance=advance,
                )
                if not np.isfinite(logits).all():
                    raise UserError(
                        "the teacher's logits are not all numbers: its training diverged",
                        remedy="lower finetune.training.learning_rate",
                    )
                write_once(files[index], lambda file, logits=logits: _save(file, logits))  # type: ignore[misc]
    reporter.message(
        f"teacher's logits over {sum(map(len, shards))} rows "
        f"({len(shards) - len(missing)} of {len(shards)} shards from the cache)"
    )
    return np.concatenate([np.load(file, allow_pickle=False) for file in files])


def rows_digest(rows: TokenRows) -> str:
    """sha256 of the lengths and the token ids."""
    digest = hashlib.sha256(rows.lengths.astype("<i4").tobytes())
    for row in rows:
        digest.update(row.astype("<i4").tobytes())
    return digest.hexdigest()


def _save(file: Path, logits: NDArray[np.float32]) -> None:
    with file.open("wb") as stream:
        np.save(stream, logits, allow_pickle=False)
