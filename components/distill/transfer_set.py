"""The rows to distil on: labelled ones, the real transfer set, then augmented copies of both."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from components.distill.augment import Augmentation, WordPieces, augmented_copy, word_pieces
from components.distill.masked_lm import load_masked_lm, replaced_words
from components.distill.shards import cached_rows, rows_digest
from components.shared.identity import file_digest
from components.shared.reporter import Reporter
from components.shared.settings import canonical_json
from components.shared.teacher import WEIGHTS, load_teacher
from components.shared.tokens import TokenRows, TokensInfo, read_info


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
    """Shards in the teacher's token ids; the first holds all real rows, labelled ones in front.

    Copies follow, a shard for each copy of all real rows, until there are `rows` rows in all; the
    last shard is cut there. Each shard is made once and lies in the cache.

    Args:
        encoder: the pretrained one, for its masked-LM head, where the plan asks for it.
        teacher: for its embedding table, in which neighbours are looked for.
    """
    started = time.perf_counter()
    info = read_info(tokens)
    real = TokenRows.joined([TokenRows.open(tokens, name) for name in ("train", "unlabelled")])
    shards = [real]
    copies = -(-max(rows - len(real), 0) // max(len(real), 1))
    if copies:
        maker = _Copies(real, tokens, encoder, teacher, plan, info, seed, device)
        with reporter.progress("augmented rows", rows - len(real)) as advance:
            for copy in range(copies):
                wanted = min(len(real), rows - len(real) * (copy + 1))
                shards.append(maker.copy(copy, wanted))
                advance(wanted)
    labelled = int((real.labels >= 0).sum())
    reporter.metric("labelled_rows", labelled)
    reporter.metric("unlabelled_rows", len(real) - labelled)
    reporter.metric("augmented_rows", sum(map(len, shards[1:])))
    reporter.measure("augmentation_seconds", time.perf_counter() - started)
    return shards


class _Copies:
    """Makes copies; what they need of models is loaded when a copy is not in the cache."""

    def __init__(
        self,
        real: TokenRows,
        tokens: Path,
        encoder: Path,
        teacher: Path,
        plan: Augmentation,
        info: TokensInfo,
        seed: int,
        device: torch.device,
    ) -> None:
        self.real, self.plan, self.info, self.seed, self.device = real, plan, info, seed, device
        self.tokens, self.encoder, self.teacher = tokens, encoder, teacher
        by_head = plan.replace_with == "masked_lm"
        models = (
            [encoder / "config.json", *sorted(encoder.glob("*.safetensors"))] if by_head else []
        )
        files = [tokens / "tokenizer.json", teacher / WEIGHTS, *models]
        parts = [canonical_json(plan), rows_digest(real), str(seed), device.type if by_head else ""]
        self.recipe = " ".join([*parts, *map(file_digest, files)])
        self.pieces: WordPieces | None = None
        self.masked_lm: torch.nn.Module | None = None

    def copy(self, number: int, rows: int) -> TokenRows:
        whole = cached_rows(f"copy {number} {self.recipe}", __name__, lambda: self._make(number))
        return whole if rows == len(whole) else whole.head(rows)

    def _make(self, number: int) -> TokenRows:
        pieces = self._pieces()
        rows: Iterable[NDArray[np.int32]] = self.real
        if self.plan.replace_with == "masked_lm":
            self.masked_lm = self.masked_lm or load_masked_lm(self.encoder)
            rows = replaced_words(
                self.real,
                self.masked_lm,
                pieces.words,
                self.info,
                probability=self.plan.replace_probability,
                choices=self.plan.neighbours,
                seed=[self.seed, number, 1],
                device=self.device,
            )
        return augmented_copy(rows, pieces, self.plan, self.info, seed=[self.seed, number])

    def _pieces(self) -> WordPieces:
        if self.pieces is None:
            table = load_teacher(self.teacher).encoder.get_input_embeddings().weight  # type: ignore[operator]
            used = np.zeros(self.info.vocabulary_size, dtype=bool)
            for row in self.real:
                used[row] = True
            self.pieces = word_pieces(
                Tokenizer.from_file(str(self.tokens / "tokenizer.json")),
                table.detach().numpy()[: self.info.vocabulary_size],  # some tables are padded
                used,
                k=self.plan.neighbours,
            )
        return self.pieces
