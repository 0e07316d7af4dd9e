"""The lines of a text file in the engine, as they stand there."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from decant.tables._engine import Engine

_BATCH_LINES = 20_000
_SCHEMA = pa.schema({"row": pa.int64(), "line": pa.string()})


def load_lines(file: Path, engine: Engine) -> str:
    r"""The name of a table with `row` (from 1) and `line`, without \n or \r\n at its end."""
    relation = engine.new_name("lines")
    reader = pa.RecordBatchReader.from_batches(_SCHEMA, _batches(file))
    engine.connection.register("lines_reader", reader)
    engine.run(f"CREATE TABLE {relation} AS FROM lines_reader")
    engine.connection.unregister("lines_reader")
    return relation


def lines_of(file: Path) -> Iterator[str]:
    """Each line, without its end."""
    with file.open("rb") as stream:
        for number, line in enumerate(stream):
            text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
            yield text if number else text.removeprefix("\ufeff")


def _batches(file: Path) -> Iterator[pa.RecordBatch]:
    lines, start = lines_of(file), 1
    while batch := list(islice(lines, _BATCH_LINES)):
        rows = pa.array(range(start, start + len(batch)), pa.int64())
        yield pa.record_batch([rows, pa.array(batch, pa.string())], schema=_SCHEMA)
        start += len(batch)
