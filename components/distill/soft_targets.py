"""The teachers' answers for the transfer set, computed once and cached by content."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from components.distill.array_files import map_array, save_array
from components.distill.shards import fill
from components.distill.teacher_logits import predict_logits
from decant.data.retokenize import Retokenizer
from decant.data.tokens import TokenRows
from decant.models.teacher import WEIGHTS, load_teacher, member_folders
from decant.runtime.cache_folder import cache_folder, write_once
from decant.runtime.errors import UserError
from decant.runtime.identity import file_digest, lock_digest, module_digest, text_digest
from decant.runtime.reporter import Reporter

TOKENS_PER_BATCH = 1024
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, kw_only=True)
class SoftTargets:
    """Per shard (rows, classes) and (rows, T), memory-mapped.

    Attributes:
        logits: the mean of the teachers' logits.
        features: inputs of the main teacher's last layer; empty when not requested.
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
    """Answers of the teacher and its further members, shard by shard, in order.

    Every shard is one file in the cache, under a digest of all that decides its bytes: the teacher,
    the shard's token ids, the precision, the libraries and the code. More rows, or another loss,
    reuse what is there. One teacher and its answers for one shard are in memory at a time.

    Raises UserError when a teacher has diverged: a logit is not a number.
    """
    labeller = _Labeller(teacher, shards, device, bfloat16, reporter)
    members = [labeller.label(folder, "logits") for folder in member_folders(teacher)]
    logits = _means(members) if len(members) > 1 else members[0]
    activations = labeller.label(teacher, "features") if features else []
    reporter.message(
        f"{len(members)} teacher(s) over {sum(map(len, shards))} rows: "
        f"{labeller.computed} of {labeller.requested} shards labelled, the others from the cache"
    )
    # Summed over the calls. Seconds are those of all labels only where all shards were computed.
    for name, amount in (
        ("labelling_seconds", labeller.seconds),
        ("labelled_shards", labeller.requested),
        ("labelled_shards_computed", labeller.computed),
    ):
        reporter.measure(name, reporter.measures.get(name, 0.0) + amount)
    return SoftTargets(
        logits=[map_array(file) for file in logits], features=[map_array(f) for f in activations]
    )


class _Labeller:
    """Fills the cache and counts what had to be computed."""

    def __init__(
        self,
        teacher: Path,
        shards: Sequence[TokenRows],
        device: torch.device,
        bfloat16: bool,
        reporter: Reporter,
    ) -> None:
        self.teacher, self.shards = teacher, shards
        self.device, self.bfloat16, self.reporter = device, bfloat16, reporter
        self.requested = self.computed = 0
        self.seconds = 0.0

    def label(self, folder: Path, what: str) -> list[Path]:
        """A file for each shard."""
        parts = [folder / name for name in (WEIGHTS, "teacher.json", "config.json")]
        if folder != self.teacher:  # it reads the rows in its own tokenizer's ids
            parts += [self.teacher / TOKENIZER, folder / TOKENIZER]
        recipe = (
            f"{what} {self.device.type} bfloat16={self.bfloat16} tokens={TOKENS_PER_BATCH} "
            f"threads={torch.get_num_threads()} lock={lock_digest()} code={module_digest(__name__)}"
            f" {' '.join(map(file_digest, parts))}"
        )
        files = [_file(f"{recipe} {shard.digest}") for shard in self.shards]

        def compute(missing: list[int]) -> None:
            self._compute(folder, what, {files[index]: self.shards[index] for index in missing})

        started = time.perf_counter()
        computed = fill(files, compute)
        self.requested += len(files)
        self.computed += computed
        self.seconds += time.perf_counter() - started if computed else 0.0
        return files

    def _compute(self, folder: Path, what: str, todo: dict[Path, TokenRows]) -> None:
        model = load_teacher(folder)
        forward: Callable[..., Any] = model.features if what == "features" else model
        own = Retokenizer(self.teacher / TOKENIZER, folder / TOKENIZER)
        rows, member = sum(map(len, todo.values())), folder.name if folder != self.teacher else ""
        action = "labelling by the teacher" if what == "logits" else f"{what} of the teacher"
        with self.reporter.progress(f"{action} {member}".rstrip(), rows, unit="rows") as advance:
            for file, shard in todo.items():
                values = predict_logits(
                    model,
                    own.rows(shard),
                    pad_id=model.config.pad_id,
                    device=self.device,
                    bfloat16=self.bfloat16,
                    tokens_per_batch=TOKENS_PER_BATCH * (64 if self.device.type == "cuda" else 1),
                    advance=advance,
                    forward=forward,
                )
                if not np.isfinite(values).all():
                    raise UserError(
                        f"the teacher's {what} are not all numbers: its training diverged",
                        code="training-diverged",
                        hint="lower finetune.training.learning_rate",
                    )
                _save(file, values.astype(np.float16) if what == "features" else values)


def _means(members: Sequence[list[Path]]) -> list[Path]:
    """Per shard a file with the mean of the members' arrays."""
    parts = list(zip(*members, strict=True))
    files = [_file(f"mean {' '.join(file.stem for file in part)}") for part in parts]

    def compute(missing: list[int]) -> None:
        for index in missing:
            _save(files[index], np.mean([map_array(file) for file in parts[index]], axis=0))

    fill(files, compute)
    return files


def _file(recipe: str) -> Path:
    return cache_folder() / "logits" / f"{text_digest(recipe)}.npy"


def _save(file: Path, values: NDArray[Any]) -> None:
    write_once(file, lambda partial: save_array(partial, values))
