"""What the teachers say of the transfer set, computed once and cached by content."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.distill.shards import rows_digest
from components.shared.cache import cache_folder, write_once
from components.shared.errors import UserError
from components.shared.identity import file_digest, lock_digest, module_digest, text_digest
from components.shared.reporter import Reporter
from components.shared.retokenize import Retokenizer
from components.shared.teacher import WEIGHTS, Teacher, load_teacher, member_folders
from components.shared.tokens import TokenRows
from components.shared.training.inference import predict_logits

TOKENS_PER_BATCH = 512


@dataclass(frozen=True, kw_only=True)
class SoftTargets:
    """Per shard (rows, classes) and (rows, T): memory-mapped where one teacher made them.

    Attributes:
        logits: the mean of the teachers' logits.
        features: the main teacher's, what its last layer sees; empty when not asked for.
    """

    logits: list[NDArray[np.float32]]
    features: list[NDArray[np.float16]]


def soft_targets(
    teacher: Path,
    shards: Sequence[TokenRows],
    *,
    features: bool,
    device: torch.device,
    bfloat16: bool,
    reporter: Reporter,
) -> SoftTargets:
    """What the teacher and its further members say, shard by shard, in order.

    Every shard is a file of its own in the cache, under a digest of all that decides its bytes: the
    teacher, the shard's token ids, the precision, the libraries and the code. More rows, or another
    loss, use again what is there. One teacher is in memory at a time.

    Raises UserError when a teacher has diverged: a logit is no number.
    """
    labeller = _Labeller(device, bfloat16, reporter, [rows_digest(shard) for shard in shards])
    members = [
        labeller.ask(folder, _in_ids_of(folder, teacher, shards), "logits")
        for folder in member_folders(teacher)
    ]
    if len(members) > 1:
        logits = [np.mean(parts, axis=0) for parts in zip(*members, strict=True)]
    else:
        logits = members[0]
    said = labeller.ask(teacher, shards, "features") if features else []
    reporter.message(
        f"{len(members)} teacher(s) over {sum(map(len, shards))} rows: "
        f"{labeller.computed} of {labeller.asked} shards labelled, the others from the cache"
    )
    # Summed over the calls. Seconds are those of all labels only where all shards were computed.
    for name, amount in (
        ("labelling_seconds", labeller.seconds),
        ("labelled_shards", labeller.asked),
        ("labelled_shards_computed", labeller.computed),
    ):
        reporter.measure(name, reporter.measures.get(name, 0.0) + amount)
    return SoftTargets(logits=logits, features=said)


class _Labeller:
    """Fills the cache and reads it; knows what it had to compute."""

    def __init__(
        self, device: torch.device, bfloat16: bool, reporter: Reporter, digests: Sequence[str]
    ) -> None:
        self.device, self.bfloat16, self.reporter = device, bfloat16, reporter
        self.digests = digests
        self.asked = self.computed = 0
        self.seconds = 0.0

    def ask(self, folder: Path, shards: Sequence[TokenRows], what: str) -> list[NDArray[Any]]:
        weights = " ".join(
            file_digest(folder / name) for name in (WEIGHTS, "teacher.json", "config.json")
        )
        settings = (
            f"{what} {self.device.type} bfloat16={self.bfloat16} tokens={TOKENS_PER_BATCH} "
            f"threads={torch.get_num_threads()} lock={lock_digest()} code={module_digest(__name__)}"
        )
        files = [
            cache_folder() / "logits" / f"{text_digest(f'{weights} {digest} {settings}')}.npy"
            for digest in self.digests
        ]
        missing = [index for index, file in enumerate(files) if not file.is_file()]
        self.asked += len(files)
        self.computed += len(missing)
        if missing:
            started = time.perf_counter()
            self._compute(load_teacher(folder), what, {i: (shards[i], files[i]) for i in missing})
            self.seconds += time.perf_counter() - started
        return [np.load(file, mmap_mode="r", allow_pickle=False) for file in files]

    def _compute(self, model: Teacher, what: str, todo: dict[int, tuple[TokenRows, Path]]) -> None:
        say: Callable[..., Any] = model.features if what == "features" else model
        rows = sum(len(shard) for shard, _ in todo.values())
        with self.reporter.progress(f"teacher's {what}", rows) as advance:
            for shard, file in todo.values():
                values = predict_logits(
                    model,
                    shard,
                    pad_id=model.config.pad_id,
                    device=self.device,
                    bfloat16=self.bfloat16,
                    tokens_per_batch=TOKENS_PER_BATCH * (64 if self.device.type == "cuda" else 1),
                    advance=advance,
                    say=say,
                )
                if not np.isfinite(values).all():
                    raise UserError(
                        f"the teacher's {what} are not all numbers: its training diverged",
                        remedy="lower finetune.training.learning_rate",
                    )
                if what == "features":
                    values = values.astype(np.float16)
                write_once(file, lambda path, values=values: _save(path, values))  # type: ignore[misc]


def _in_ids_of(folder: Path, teacher: Path, shards: Sequence[TokenRows]) -> Sequence[TokenRows]:
    """The shards as a member of another encoder reads them."""
    if folder == teacher:
        return shards
    retokenizer = Retokenizer(teacher / "tokenizer.json", folder / "tokenizer.json")
    return [retokenizer.rows(shard) for shard in shards]


def _save(file: Path, values: NDArray[Any]) -> None:
    with file.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)
