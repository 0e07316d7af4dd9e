"""What is measured: the two steps, and the engines below them alone.

A job imports what it needs and returns the function that is timed: () → rows, and the seconds that
count where not all of it does (else None).
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from decant.runtime.errors import UserError

Timed = Callable[[], tuple[int, float | None]]


def step(name: str, section: Mapping[str, Any], ports: Mapping[str, str], rows: int) -> Timed:
    """A whole step, as `decant step` runs it: inputs are digested, outputs written."""
    from decant.runner.run_step import run_step
    from decant.runtime.steps import load_step

    load_step(name)

    def run() -> tuple[int, None]:
        run_step(name, section, {port: Path(folder) for port, folder in ports.items()})
        return rows, None

    return run


def engine(file: str) -> Timed:
    """DuckDB reads every cell of the file and keeps none."""
    try:
        import duckdb
    except ModuleNotFoundError:
        raise UserError(
            "the package duckdb is not installed",
            code="package-missing",
            hint="pip install duckdb, or give --without-engine",
        ) from None
    reader = {
        ".csv": "read_csv(?, header=true, all_varchar=true)",
        ".parquet": "read_parquet(?)",
    }[Path(file).suffix]

    # A length takes the cell itself; a maximum may come from a Parquet file's statistics.
    query = f"SELECT count(*), sum(strlen(COLUMNS(*))) FROM {reader}"

    def run() -> tuple[int, None]:
        found = duckdb.execute(query, [file]).fetchone()
        assert found is not None  # an aggregate has one row
        return int(found[0]), None

    return run


def tokenizers(corpus: str, encoder: str, max_length_tokens: int, batch_size_rows: int) -> Timed:
    """The `tokenizers` library on all cores, with the texts as Python strings in memory.

    Only the library's calls count.
    """
    import pyarrow.parquet as pq

    from decant.data.corpus import SPLITS
    from decant.models.encoder import load_tokenizer

    tokenizer = load_tokenizer(Path(encoder))
    tokenizer.enable_truncation(max_length_tokens)

    def run() -> tuple[int, float]:
        rows, seconds = 0, 0.0
        for split in SPLITS:
            file = pq.ParquetFile(Path(corpus) / f"{split}.parquet", pre_buffer=False)
            for batch in file.iter_batches(batch_size_rows, columns=["text"]):
                texts = batch.column(0).to_pylist()
                clock = time.perf_counter()
                tokenizer.encode_batch_fast(texts)
                seconds += time.perf_counter() - clock
                rows += len(texts)
        return rows, seconds

    return run


JOBS: dict[str, Callable[..., Timed]] = {"step": step, "engine": engine, "tokenizers": tokenizers}
