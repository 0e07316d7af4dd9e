"""Many rows out of few: real texts, half of whose words are replaced by other words of theirs."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

_CHUNK_ROWS = 10_000
_REPLACED = 0.5  # with less, rows of one text would be near duplicates of each other


def made_rows(
    base: pd.DataFrame, *, text: str, group: str | None, rows: int, seed: int
) -> Iterator[pa.Table]:
    """Chunks with the columns of the base, all strings; the same seed gives the same rows.

    Words keep their frequencies, texts their lengths and labels. A group's name gets the number of
    the chunk, so that the number of groups grows with the rows.
    """
    base = base[base[text].str.strip().fillna("") != ""].reset_index(drop=True)
    texts = [np.array(words, dtype=object) for words in base[text].str.split()]
    words = np.concatenate(texts)
    for chunk, start in enumerate(range(0, rows, _CHUNK_ROWS)):
        draw = np.random.default_rng((seed, chunk))
        drawn = draw.integers(len(base), size=min(_CHUNK_ROWS, rows - start))
        made = base.iloc[drawn].assign(**{text: [_perturbed(texts[i], words, draw) for i in drawn]})
        if group is not None:
            made[group] = made[group] + f" {chunk}"
        yield pa.table({name: pa.array(made[name], pa.string(), from_pandas=True) for name in made})


def write_rows(chunks: Iterator[pa.Table], files: Sequence[Path]) -> None:
    """Write the same rows into each file, as its suffix (.csv, .parquet) says."""
    writers: list[Any] = []
    for chunk in chunks:
        writers = writers or [_WRITERS[file.suffix](file, chunk.schema) for file in files]
        for writer in writers:
            writer.write_table(chunk)
    for writer in writers:
        writer.close()


def _perturbed(
    text: NDArray[np.object_], words: NDArray[np.object_], draw: np.random.Generator
) -> str:
    replaced = draw.random(len(text)) < _REPLACED
    others = words[draw.integers(len(words), size=len(text))]
    return " ".join(np.where(replaced, others, text))


_WRITERS: dict[str, Callable[[Path, pa.Schema], Any]] = {
    ".csv": pyarrow.csv.CSVWriter,
    ".parquet": pq.ParquetWriter,
}
