"""Shards: blocks of a fixed number of rows, made, labelled and cached one by one: flat memory."""

from collections.abc import Callable, Sequence
from pathlib import Path

from decant.data.tokens import TokenRows
from decant.runtime.cache_folder import cache_folder, is_intact
from decant.runtime.identity import lock_digest, module_digest, text_digest
from decant.training import processes

SHARD_ROWS = 20_000


def cut(rows: TokenRows) -> list[TokenRows]:
    """The rows in order, SHARD_ROWS at a time, the last shard shorter; nothing is copied."""
    return [rows.part(start, start + SHARD_ROWS) for start in range(0, len(rows), SHARD_ROWS)]


def rows_file(recipe: str, maker: str) -> Path:
    """The cache file of generated rows.

    Args:
        recipe: all that decides the rows, beside the code and the libraries.
        maker: the module whose code generates them.
    """
    name = text_digest(f"{recipe} lock={lock_digest()} code={module_digest(maker)}")
    return cache_folder() / "rows" / f"{name}.arrow"


def fill(files: Sequence[Path], compute: Callable[[list[int]], None]) -> int:
    """Let `compute` write the missing files; returns their number. A damaged file is missing.

    Only this function decides what is computed. `compute` takes indices of `files`: each file is
    made without the others and is the only result. So several processes can share them; what
    another machine has only in its own cache is made here too.
    """
    missing = _missing(files)
    processes.wait_for_all()  # no process writes before every process has looked
    if share := missing[processes.index() :: processes.count()]:
        compute(share)
    processes.wait_for_all()
    if rest := _missing(files):
        compute(rest)
    return len(missing)


def _missing(files: Sequence[Path]) -> list[int]:
    """By listing their folders: nodes shall see each other's work.

    A network file system caches for a while that a file is missing, but not what a folder has.
    """
    there: set[Path] = set()
    for folder in {file.parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
        there.update(folder.iterdir())
    return [index for index, file in enumerate(files) if file not in there or not is_intact(file)]
