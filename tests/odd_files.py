"""Broken and odd files, drawn at random, and the real ingest that reads them."""

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from components.ingest.contract import Params
from components.ingest.corpus_files import write_splits
from components.ingest.step import prepare_rows, task_of
from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse
from decant.tables import table_engine

# What a sound file may be refused for: its rows, not its form.
EXPLAINED = {"row-invalid", "class-empty", "class-single", "split-impossible", "encoding-not-utf8"}
_DRAWN_BYTES = 1 << 13

CELL = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "NA",
            "null",
            "None",
            "nan",
            "NaN",
            "1",
            "1.0",
            "true",
            "007",
            "1e5",
            "-0",
            "text",
        ]
    ),
    st.sampled_from(
        ["\x00", "\ufeff", "\u200b", "\u202e", "a\u0301" * 9, "日本語", "😀", "\U000e0001"]
    ),
    st.text(max_size=12),
    st.text(alphabet=",;|\t\"\\'\n\r a", max_size=12),
    st.integers(0, 5000).map(lambda length: "x" * length),
)
LABEL = st.sampled_from(["a", "b", "a", "b", "1", "1.0", "", "c"])
ROW = st.tuples(CELL, LABEL, CELL)


@dataclass(frozen=True)
class Odd:
    """A file, how it came about, and its rows where all of them must be accounted for."""

    name: str
    content: bytes
    how: str
    rows: int | None


def delimited(rows: list[tuple[str, ...]], delimiter: str, end: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows([("text", "label", "group"), *rows])
    return text.getvalue().encode("utf-8", "surrogatepass")


def json_lines(rows: list[tuple[str, ...]]) -> bytes:
    objects = [dict(zip(("text", "label", "group"), row, strict=True)) for row in rows]
    return "\n".join(map(json.dumps, objects)).encode()


def parquet(rows: list[tuple[str, ...]]) -> bytes:
    sink = io.BytesIO()
    columns = [list(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(columns, names=["text", "label", "group"]), sink)
    return sink.getvalue()


def packed(content: bytes, how: str) -> bytes:
    match how:
        case "gzip":
            return gzip.compress(content)
        case "bzip2":
            return bz2.compress(content)
        case "xz":
            return lzma.compress(content)
        case "zip":
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as target:
                target.writestr("rows.csv", content)
            return archive.getvalue()
    return content


@st.composite
def odd_files(draw: Any) -> Odd:
    filled = [(f"{text} number {n}", "ab"[n % 2], f"g{n // 2}") for n, text in enumerate("xyz" * 8)]
    rows = [*filled, *draw(st.lists(ROW, max_size=10))]
    kind = draw(st.sampled_from(["csv", "csv", "tsv", "jsonl", "parquet", "txt", "tab", "json"]))
    match kind:
        case "csv" | "tsv" | "tab" | "txt":
            usual = "," if kind == "csv" else "\t"
            delimiter = draw(st.sampled_from([usual, usual, ";", "|", ",", "\t"]))
            content = delimited(rows, delimiter, draw(st.sampled_from(["\n", "\r\n", "\n", "\r"])))
        case "parquet":
            content = parquet(rows)
        case _:
            content = json_lines(rows)
    known = len(rows) if kind in ("csv", "jsonl", "parquet", "json") else None
    harm = draw(st.sampled_from(["none", "cut", "byte", "insert", "double", "encoding", "packed"]))
    match harm:
        case "cut":
            content = content[: draw(st.integers(0, len(content)))]
        case "byte":
            at = draw(st.integers(0, max(0, len(content) - 1)))
            content = content[:at] + bytes([draw(st.integers(0, 255))]) + content[at + 1 :]
        case "insert":
            at = draw(st.integers(0, len(content)))
            stray = draw(st.sampled_from([b'"', b"\x00", b"\n", b"\r", b"\\", b",", b"[", b"\xff"]))
            content = content[:at] + stray + content[at:]
        case "double":
            content = content + content
        case "encoding":
            name = draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig"]))
            content = content.decode("utf-8", "replace").encode(name, "replace")
        case "packed":
            content = packed(content, draw(st.sampled_from(["gzip", "bzip2", "xz", "zip"])))
    suffix = draw(
        st.sampled_from([kind, kind, kind, "csv", "jsonl", "parquet", f"{kind}.gz", "dat"])
    )
    whole = harm == "none" and suffix == kind
    return Odd(f"rows.{suffix}", content, f"{kind}, {harm}", known if whole else None)


def drawn(rng: random.Random) -> tuple[Odd, bool]:
    """A file and whether its rows are grouped, as a property's test gets them."""
    found: list[tuple[Odd, bool]] = []

    @given(odd_files(), st.booleans())
    def keep(odd: Odd, grouped: bool) -> None:
        found.append((odd, grouped))

    while not found:  # the bytes may not suffice
        keep.hypothesis.fuzz_one_input(rng.randbytes(_DRAWN_BYTES))
    return found[0]


def read(odd: Odd, *, grouped: bool) -> None:
    """By ingest, with every row accounted for.

    Raises:
        UserError: ingest refuses the file.
        AssertionError: a row is lost, or a sound file is refused for its form.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / odd.name
        file.write_bytes(odd.content)
        section = _section() | {
            "source": str(file),
            "local_corpus": str(folder),
            "group_by": "group" if grouped else None,
        }
        try:
            rows, kept, rejected = _ingested(section, folder)
        except UserError as error:
            assert name not in str(error), "a temporary path"
            assert odd.rows is None or error.code in EXPLAINED, str(error)
            raise
        assert rows == kept + rejected
        written = [found for found in folder.glob("*.parquet") if found.name != odd.name]
        assert sum(pq.ParquetFile(found).metadata.num_rows for found in written) == rows
        # Rows without any character between delimiters may be blank lines.
        assert odd.rows in (None, rows), f"{rows} rows of {odd.rows}"


def _ingested(section: dict[str, Any], folder: Path) -> tuple[int, int, int]:
    """All rows, and those that were kept and rejected."""
    reporter = Reporter(step="ingest", console=Console(file=io.StringIO(), width=200))
    with table_engine(folder) as engine:
        targets = prepare_rows(engine, parse(Params, section, "ingest"), reporter)
        write_splits(engine, targets, task_of(engine, targets), folder)
        ((rows, kept, rejected),) = engine.all(
            "SELECT (SELECT count(*) FROM rows), (SELECT count(*) FROM live), "
            "(SELECT count(*) FROM rejected)"
        )
        return rows, kept, rejected


@cache
def _section() -> dict[str, Any]:
    return read_params_file(PROJECT / "params.yaml")["ingest"] | {
        "label_column": "label",
        "labels": None,
        "unlabelled_labels": [""],
        "label_budget": None,
        "rare_classes": "drop",
    }
