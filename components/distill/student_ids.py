"""Rows of the teacher's token ids in the ids of the student's tokenizer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from components.distill.shards import fill, rows_file
from decant.data.retokenize import Retokenizer
from decant.data.tokens import UNLABELLED, TokenRows
from decant.runtime.cache_folder import write_once
from decant.runtime.identity import file_digest
from decant.runtime.reporter import Reporter


class StudentIds:
    """Retokenises shard by shard, through the cache.

    Args:
        source: tokenizer.json of the rows.
        target: the student's tokenizer.json.
    """

    def __init__(self, source: Path, target: Path, reporter: Reporter) -> None:
        self.retokenizer, self.reporter = Retokenizer(source, target), reporter
        self.recipe = f"student ids {file_digest(source)} {file_digest(target)}"

    def of(self, shards: Sequence[TokenRows]) -> TokenRows:
        """The rows of all shards, one after the other, memory-mapped; labels are kept."""
        whole = TokenRows.joined(shards)
        if self.retokenizer.same:
            return whole
        recipes = [f"{self.recipe} {shard.digest}" for shard in shards]
        files = [rows_file(recipe, Retokenizer.__module__) for recipe in recipes]

        def compute(missing: list[int]) -> None:
            total = sum(len(shards[index]) for index in missing)
            with self.reporter.progress("token ids of the student", total, unit="rows") as advance:
                for index in missing:
                    rows = self.retokenizer.rows(shards[index])
                    rows.labels = np.full(len(rows), UNLABELLED, dtype=np.int32)
                    write_once(files[index], rows.write)
                    advance(len(shards[index]))

        fill(files, compute)
        own = TokenRows.joined(map(TokenRows.map, files))
        own.labels = whole.labels  # the cache has none: a text may have others elsewhere
        return own
