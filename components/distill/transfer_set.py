"""The rows to distil on: labelled ones, the real transfer set, then augmented copies of both."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from components.distill.augment import augmented_copy
from components.distill.contract import Augmentation
from components.distill.masked_lm import load_masked_lm, replaced_words
from components.distill.shards import cut, fill, rows_file
from components.distill.word_pieces import WordPieces, word_pieces
from decant.data.pieces import read_tokenizer
from decant.data.tokens import UNLABELLED, TokenRows, read_info, unknown_labels
from decant.models.teacher import WEIGHTS, load_teacher
from decant.runtime.cache_folder import write_once
from decant.runtime.identity import canonical_json, file_digest, text_digest
from decant.runtime.reporter import Reporter
from decant.runtime.threads import BLAS, TORCH, in_words, threads_here


def transfer_set(
    tokens: Path,
    encoder: Path,
    teacher: Path,
    *,
    rows: int,
    plan: Augmentation,
    seed: int,
    device: torch.device,
    reporter: Reporter,
) -> list[TokenRows]:
    """Shards in the teacher's token ids: real rows, labelled ones in front, then augmented ones.

    All real rows are included; copies of them follow until there are `rows` rows in all, and the
    last shard is cut there. An augmented shard is made once and cached, independent of `rows`. Not
    more than a shard of token ids is in memory.

    Args:
        encoder: the pretrained one, for its masked-LM head, where the plan uses it.
        teacher: for its embedding table, in which neighbours are searched.
    """
    started = time.perf_counter()
    real = real_rows(tokens)
    shards = cut(real)
    augmented = []
    if rows > len(real) > 0:
        copies = _Copies(real, shards, tokens, encoder, teacher, plan, seed, device, reporter)
        augmented = copies.first(rows - len(real))
    labelled = int(real.labelled.sum())
    reporter.metric("labelled_rows", labelled)
    reporter.metric("unlabelled_rows", len(real) - labelled)
    reporter.metric("augmented_rows", sum(map(len, augmented)))
    reporter.measure("augmentation_seconds", time.perf_counter() - started)
    return shards + augmented


def real_rows(tokens: Path) -> TokenRows:
    """The rows that are not copies: labelled ones, then unlabelled ones."""
    return TokenRows.joined([TokenRows.open(tokens, name) for name in ("train", "unlabelled")])


class _Copies:
    """Makes copies of the real rows, each in as many blocks as the real rows have shards.

    Of B blocks, block b has the real rows b, b + B, b + 2B, ...: a sample of all of them. So a
    splice, which takes the other row from the same block, joins rows from anywhere, and a copy
    that is cut is a sample too. Models are loaded when a block is not in the cache.
    """

    def __init__(
        self,
        real: TokenRows,
        shards: Sequence[TokenRows],
        tokens: Path,
        encoder: Path,
        teacher: Path,
        plan: Augmentation,
        seed: int,
        device: torch.device,
        reporter: Reporter,
    ) -> None:
        self.real, self.blocks = real, len(shards)
        self.tokens, self.encoder, self.teacher = tokens, encoder, teacher
        self.info, self.plan, self.seed = read_info(tokens), plan, seed
        self.device, self.reporter = device, reporter
        by_head = plan.replace_with == "masked_lm"
        models = (
            [encoder / "config.json", *sorted(encoder.glob("*.safetensors"))] if by_head else []
        )
        files = [tokens / "tokenizer.json", tokens / "tokens.json", teacher / WEIGHTS, *models]
        digests = [*(shard.digest for shard in shards), *map(file_digest, files)]
        where = f"{device.type if by_head else ''} {in_words(threads_here((BLAS, TORCH)))}"
        self.recipe = text_digest(" ".join([canonical_json(plan), str(seed), where, *digests]))
        self.by_head = by_head

    def first(self, rows: int) -> list[TokenRows]:
        """`count` rows: the blocks of copy 0, then of copy 1, ..., the last one cut."""
        numbers: list[tuple[int, int]] = []
        left = rows
        while left > 0:
            copy, block = divmod(len(numbers), self.blocks)
            numbers.append((copy, block))
            left -= len(self._chosen(block))
        files = [
            rows_file(f"copy {copy} block {block} {self.recipe}", __name__)
            for copy, block in numbers
        ]
        fill(files, lambda missing: self._make({files[i]: numbers[i] for i in missing}))
        shards = [TokenRows.map(file) for file in files]
        shards[-1] = shards[-1].part(0, len(shards[-1]) + left)
        for shard in shards:  # the cache serves every task
            shard.labels = unknown_labels(self.real.labels, len(shard))
        return shards

    def _make(self, todo: dict[Path, tuple[int, int]]) -> None:
        with self.reporter.activity("looking for neighbours of words"):
            pieces = self._pieces()
        masked_lm = load_masked_lm(self.encoder) if self.by_head else None
        total = sum(len(self._chosen(block)) for _, block in todo.values())
        with self.reporter.progress("augmenting", total, unit="rows") as advance:
            for file, (copy, block) in todo.items():
                made = self._block(copy, block, pieces, masked_lm)
                write_once(file, made.write)
                advance(len(made))

    def _block(
        self, copy: int, block: int, pieces: WordPieces, masked_lm: torch.nn.Module | None
    ) -> TokenRows:
        chosen = self._chosen(block)
        real = TokenRows.of((self.real[row] for row in chosen), [UNLABELLED] * len(chosen))
        rows: Iterable[NDArray[np.int32]] = real
        if masked_lm is not None:
            rows = replaced_words(
                real,
                masked_lm,
                pieces,
                self.info,
                probability=self.plan.replace_probability,
                choices=self.plan.neighbours,
                seed=[self.seed, copy, block, 1],
                device=self.device,
            )
        return augmented_copy(rows, pieces, self.plan, self.info, seed=[self.seed, copy, block])

    def _chosen(self, block: int) -> range:
        return range(block, len(self.real), self.blocks)

    def _pieces(self) -> WordPieces:
        table = load_teacher(self.teacher).encoder.get_input_embeddings().weight  # type: ignore[operator]
        used = np.zeros(self.info.vocabulary_size, dtype=bool)
        for row in self.real:
            used[row] = True
        return word_pieces(
            read_tokenizer(self.tokens / "tokenizer.json"),
            table.detach().numpy()[: self.info.vocabulary_size],  # some tables are padded
            used,
            k=self.plan.neighbours,
        )
