"""Every format reads the same rows, and says where a broken one is."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decant.tables import formats, read_table
from tests.errors import raises

ROWS = [('good, "very" good', "1"), ("línea\ndos", "0"), ("NA", "null")]
CSV = 'text,label\n"good, ""very"" good",1\n"línea\ndos",0\nNA,null\n'.encode()


def write(folder: Path, name: str, content: bytes | str) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def parquet(folder: Path) -> Path:
    table = {"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}
    pq.write_table(pa.table({**table, "vector": [[1.0], [2.0], [3.0]]}), folder / "rows.parquet")
    return folder / "rows.parquet"


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: write(folder, "rows.csv", CSV),
        lambda folder: write(folder, "ROWS.CSV", b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n")),
        lambda folder: write(folder, "rows.csv.gz", gzip.compress(CSV)),
        lambda folder: write(folder, "rows.csv.bz2", bz2.compress(CSV)),
        lambda folder: write(folder, "rows.csv.xz", lzma.compress(CSV)),
        lambda folder: write(
            folder, "rows.tsv", 'text\tlabel\n"good, ""very"" good"\t1\n"línea\ndos"\t0\nNA\tnull\n'
        ),
        lambda folder: write(
            folder,
            "rows.tab",
            'mS#text\tcD#label\n"good, ""very"" good"\t1\n"línea\ndos"\t0\n\nNA\tnull\n',
        ),
        lambda folder: write(
            folder,
            "rows.jsonl",
            '{"text": "good, \\"very\\" good", "label": 1}\n\n'
            '{"text": "línea\\ndos", "label": 0}\n{"text": "NA", "label": "null"}',
        ),
        parquet,
    ],
)
def test_formats_read_the_same_rows(make: Callable[[Path], Path], tmp_path: Path) -> None:
    frame = read_table(make(tmp_path))
    found = [(text.replace("\r\n", "\n"), label) for text, label in frame.itertuples(index=False)]
    assert found == ROWS
    assert list(frame.columns) == ["text", "label"]


def test_zstandard(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv.zst"
    with pa.CompressedOutputStream(pa.OSFile(str(file), "wb"), "zstd") as sink:
        sink.write(CSV)
    assert read_table(file)["label"].tolist() == ["1", "0", "null"]


def test_three_header_rows_of_orange(tmp_path: Path) -> None:
    content = "Category\tText\r\nd\tstring\r\nclass\tmeta include=True title=True\r\n\r\nx\ta b\r\n"
    frame = read_table(write(tmp_path, "rows.tab", content))
    assert frame.to_dict("index") == {1: {"Category": "x", "Text": "a b"}}


def test_data_that_looks_like_one_header_row_stays(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "rows.tab", "Text\tLabel\nc\td\nlong text\tyes\n"))
    assert frame["Text"].tolist() == ["c", "long text"]


def test_tsv_with_bare_quotes(tmp_path: Path) -> None:
    file = write(tmp_path, "rows.tsv", 'text\tlabel\n"never" said he\ta\nit\'s 5" wide\tb\n"\tc\n')
    frame = read_table(file)
    assert frame["text"].tolist() == ['"never" said he', "it's 5\" wide", '"']
    assert frame["label"].tolist() == ["a", "b", "c"]


def test_missing_values(tmp_path: Path) -> None:
    empty = read_table(write(tmp_path, "empty.csv", 'text,label\na,\nb,""\nNA,null\n'))
    assert empty["label"].fillna("none").tolist() == ["none", "none", "null"]
    assert empty["text"].tolist() == ["a", "b", "NA"]
    null = read_table(write(tmp_path, "null.jsonl", '{"text": "a", "label": null}\n{"text": "b"}'))
    assert null["label"].isna().tolist() == [True, True]
    pq.write_table(pa.table({"label": [1.0, None, 3.0]}), tmp_path / "gaps.parquet")
    gaps = read_table(tmp_path / "gaps.parquet")
    assert gaps["label"].fillna("none").tolist() == ["1", "none", "3"]
    not_numbers = '{"label": NaN}\n{"label": 1.50}\n{"label": 12345678901234567890123}\n'
    file = write(tmp_path, "nan.jsonl", not_numbers)
    assert read_table(file)["label"].fillna("none").tolist() == [
        "none",
        "1.5",
        "12345678901234567890123",
    ]


def test_a_surrogate_pair_is_one_character(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "rows.jsonl", '{"text": "\\ud83d\\ude00"}'))
    assert frame["text"].tolist() == ["\U0001f600"]


def test_columns_of_bytes_are_left_out(tmp_path: Path) -> None:
    table = {"text": ["a", "b"], "hash": [b"\xff\xfe", b"\x80"], "plain": [b"c", b"d"]}
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    frame = read_table(tmp_path / "rows.parquet")
    assert frame.to_dict("list") == {"text": ["a", "b"], "plain": ["c", "d"]}
    assert "row 1 has bytes that are not UTF-8" in frame.attrs["left_out"]["hash"]
    pq.write_table(pa.table({"hash": table["hash"]}), tmp_path / "rows.parquet")
    with raises("column-not-text", "'hash'", "not UTF-8"):
        read_table(tmp_path / "rows.parquet")


def test_rows_are_numbered_from_one(tmp_path: Path) -> None:
    file = write(tmp_path, "rows.txt", "a\n\nb\r\n")
    frame = read_table(file)
    assert frame["text"].to_dict() == {1: "a", 2: "", 3: "b"}


@pytest.mark.parametrize(
    ("name", "content", "code", "values"),
    [
        (
            "a.csv",
            'a,b\n1,"x\ny"\n\n1,2,3\n',
            "row-invalid",
            ["a.csv", "row 2", "line 5", "3 fields", "2 col"],
        ),
        ("a.csv", "a,b\n1,2,3\n", "row-invalid", ["row 1", "3 fields"]),
        ("a.csv", 'a,b\n1,2\n3,"4\n5,6\n', "row-invalid", ["row 2", "line 3", "quotes"]),
        (
            "a.tab",
            "a\tb\nd\ts\nclass\t\n1\t2\n1\t2\t3\n",
            "row-invalid",
            ["row 2", "line 5", "3 fields"],
        ),
        ("a.csv", b"a,b\n1,2\n\xe9,2\n", "encoding-not-utf8", ["line 3", "0xe9"]),
        ("a.csv", b"\xef\xbb\xbfa,b\n1,2\n\xe9,2\n", "encoding-not-utf8", ["line 3", "0xe9"]),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "row-invalid", ["a.jsonl", "line 2"]),
        ("a.jsonl", '{"text": "a"}\n["b"]\n', "row-invalid", ["line 2", "list"]),
        (
            "a.jsonl",
            '{"text": "a"}\n{"text": "b \\ud83d c"}',
            "row-invalid",
            ["line 2", "'\\ud83d'"],
        ),
        ("a.jsonl", '{"te\\udc00xt": 1}', "row-invalid", ["line 1", "'\\udc00'"]),
        ("a.parquet", "PAR", "file-invalid", ["a.parquet"]),
        ("a.csv", "a,b\n1,2\n3\n", "row-invalid", ["row 2", "line 3", "1 field", "2 col"]),
        ("a.csv", '"a,b\n1,2\n' + "3,4\n" * 60, "row-invalid", ["header", "quote"]),
        ("a.csv.gz", b"\x1f\x8b\x08\x00 cut", "file-invalid", ["a.csv.gz", "gzip"]),
        ("a.csv.xz", b"\xfd7zXZ\x00 cut", "file-invalid", ["a.csv.xz", "xz"]),
        ("a.csv.zst", b"\x28\xb5\x2f\xfd cut", "file-invalid", ["a.csv.zst", "zstd"]),
        ("a.jsonl", '{"a": 1, "a": 2}', "row-invalid", ["line 1", "'a'", "twice"]),
        ("a.jsonl", '[{"a": 1}, {"a":', "file-invalid", ["a.jsonl", "array"]),
        ("a.jsonl", '{"a": ' + "[" * 100_000, "row-invalid", ["line 1"]),
        ("a.csv", "", "file-empty", ["a.csv"]),
        ("a.csv", "\n\n", "file-empty", ["a.csv"]),
        ("a.csv", "text,label\n", "file-empty", ["a.csv"]),
        ("a.xlsx", "x", "format-unknown", ["a.xlsx"]),
        ("a", "x", "format-unknown", ["a"]),
    ],
)
def test_broken_files(
    name: str, content: bytes | str, code: str, values: list[str], tmp_path: Path
) -> None:
    with raises(code, *values):
        read_table(write(tmp_path, name, content))


def test_format_may_be_given(tmp_path: Path) -> None:
    file = write(tmp_path, "rows.data", "text\tlabel\na\tb\n")
    assert read_table(file, "tsv")["label"].tolist() == ["b"]
    with raises("format-unknown", "'xls'") as caught:
        read_table(file, "xls")
    assert all(name in caught.value.hint for name in formats())
    shipped = {"csv", "jsonl", "parquet", "tab", "tsv", "txt", "doccano", "label_studio"}
    assert shipped <= set(formats())  # one more is one file


def test_types_are_strings(tmp_path: Path) -> None:
    frame = read_table(parquet(tmp_path))
    assert all(isinstance(frame[column].dtype, pd.StringDtype) for column in frame.columns)


# Delimiters, quotes, marks for a missing value, line ends, and letters of several scripts.
CELL = st.one_of(
    st.sampled_from(["", "NA", "null", "None", "nan", "007", "1e5", "True", " x ", "#1", "\ufeff"]),
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8),
    st.text(alphabet=",;\t\"'\n a", max_size=8),
)
TABLE = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5)


@given(TABLE)
def test_what_the_csv_module_writes_is_read_unchanged(rows: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("text", "label"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        frame = read_table(write(Path(folder), "rows.csv", text.getvalue()), wanted=["text"])
    assert list(frame.fillna("").itertuples(index=False, name=None)) == rows
    assert list(frame.index) == list(range(1, len(rows) + 1))


@given(TABLE)
def test_json_lines_are_read_unchanged(rows: list[tuple[str, str]]) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    with tempfile.TemporaryDirectory() as folder:
        frame = read_table(write(Path(folder), "rows.jsonl", "\n".join(lines)))
    assert list(frame.itertuples(index=False, name=None)) == rows
