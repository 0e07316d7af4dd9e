"""A file is what its content says, whatever its name is; exports of annotation tools."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decant.runtime import unpacking
from decant.tables import open_table, read_table, table_engine
from tests.errors import raises


def written(folder: Path, name: str, content: bytes | str) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "text,label\n")
    return content.getvalue()


def tarred() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("x.csv"), io.BytesIO(b""))
    return content.getvalue()


def sheet() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return content.getvalue()


WHAT_FILES_ARE: list[tuple[str, bytes | str, str, list[str]]] = [
    ("a.csv", zipped("a.csv"), "file-not-table", ["zip archive", "unpack"]),
    ("a.csv", sheet(), "file-not-table", ["Excel", "CSV"]),
    ("a.csv.gz", tarred(), "file-not-table", ["tar archive"]),
    ("a.csv", "text,label\nx,y\n".encode("utf-16"), "file-not-table", ["UTF-16", "UTF-8"]),
    ("a.csv", "text,label\nx,y\n".encode("utf-16-le"), "file-not-table", ["UTF-16"]),
    ("a.csv", "text,label\n".encode("utf-32"), "file-not-table", ["UTF-32"]),
    ("a.csv", "<!DOCTYPE html>\n<html><body>Sign in", "file-placeholder", ["web page"]),
    ("a.jsonl", "<?xml version='1.0'?><Error/>", "file-placeholder", ["XML"]),
    ("a.parquet", "text,label\nx,y\n", "file-invalid", ["Parquet"]),
    (
        "a.parquet",
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 3\n",
        "file-placeholder",
        ["Git LFS", "git lfs pull"],
    ),
    ("a.csv", b"\x80\x04\x95\x00\x00", "file-not-table", ["pickle"]),
    ("a.txt", b"caf\xe9\n", "encoding-not-utf8", ["line 1", "0xe9"]),
    ("a.txt", b"fine\n" * 300_000 + b"\xff", "encoding-not-utf8", ["line 300001"]),
    ("a.csv", b"text\n" + "é".encode()[:1], "encoding-not-utf8", ["line 2", "0xc3"]),
]


# Archives hold the time, so that the bytes must not be in a test's name.
@pytest.mark.parametrize(
    ("name", "content", "code", "values"), WHAT_FILES_ARE, ids=[one[3][0] for one in WHAT_FILES_ARE]
)
def test_what_a_file_is(
    name: str, content: bytes | str, code: str, values: list[str], tmp_path: Path
) -> None:
    with raises(code, name, *values) as refused:
        read_table(written(tmp_path, name, content))
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("name", ["a[1].csv", "a?.parquet", "{a,b}.jsonl", "*.csv.gz", "x=1.txt"])
def test_names_with_wildcards(name: str, tmp_path: Path) -> None:
    """The engine would read every file that fits, or none."""
    folder = tmp_path / "50%20[off]" / "n=1"
    folder.mkdir(parents=True)
    for beside in ("a1.csv", "ab.parquet", "a.jsonl", "b.csv.gz"):
        (folder / beside).write_bytes(b"something else")
    file = folder / name
    match name.rpartition(".")[2]:
        case "parquet":
            pq.write_table(pa.table({"text": ["good"]}), file)
        case "jsonl":
            file.write_text('{"text": "good"}')
        case "gz":
            file.write_bytes(gzip.compress(b"text\ngood\n"))
        case "txt":
            file.write_text("good\n")
        case _:
            file.write_text("text\ngood\n")
    frame = read_table(file)
    assert frame.to_dict("list") == {"text": ["good"]}


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst", "a.csv.bz2"])
def test_a_name_may_be_wrong_about_the_packing(name: str, tmp_path: Path) -> None:
    content = b"text,label\ngood,a\n"
    packed = gzip.compress(content) if name == "a.csv" else content
    with table_engine() as engine:
        table = open_table(written(tmp_path, name, packed), engine)
        assert table.names == ["text", "label"]
        assert "packed" in table.notes[0] and name in table.notes[0]


def test_a_parquet_file_of_any_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv")["text"].tolist() == ["a"]
    with raises("file-invalid", "a.csv", "Parquet file, not csv"):
        read_table(tmp_path / "a.csv", "csv")


@pytest.mark.parametrize(
    ("content", "texts", "note"),
    [
        ("text;label\n1,5 stars;a\n", ["1,5 stars"], "semicolons"),
        ("text\tlabel\na, b\ta\n", ["a, b"], "tabs"),
        ("text|label\na, b|a\n", ["a, b"], "vertical bars"),
        ('text, label\n"a, b", "c"\n', ["a, b"], ""),
        ('text,label\n"a \\"b\\", c",d\n', ['a "b", c'], "backslash"),
        ('text,label\n5" wide,a\n', ['5" wide'], ""),
        ("text,label\r\na,b\nc,d\r\n", ["a", "c"], ""),
        ("text,label\ra,b\rc,d\r", ["a", "c"], ""),
        ('text,label\r\n"a\nb",c\r\n', ["a\nb"], ""),
        ("\n\ntext,label\na,b\n\n\nc,d\n", ["a", "c"], ""),
        ("text;a,b\nx;1\ny;2\n", ["x", "y"], "semicolons"),
        ("# text,label\n#,b\n", ["#"], ""),
        ('text\na\n\n""\nb\n\n', ["a", "", "b"], ""),
    ],
)
def test_dialects(content: str, texts: list[str], note: str, tmp_path: Path) -> None:
    wanted = "# text" if content.startswith("#") else "text"
    with table_engine() as engine:
        table = open_table(written(tmp_path, "a.csv", content), engine, wanted=[wanted])
        cell = table.column(wanted, "").cell
        found = engine.all(f"SELECT {cell} FROM {table.relation} ORDER BY row")
    assert [text for (text,) in found] == texts
    assert (note in " ".join(table.notes)) and bool(note) == bool(table.notes)


def test_one_array_of_objects(tmp_path: Path) -> None:
    content = json.dumps([{"text": "a", "n": 1}, {"text": None, "n": 2.5}], indent=2)
    for name in ("a.json", "a.jsonl"):
        frame = read_table(written(tmp_path, name, content))
        assert frame.fillna("none").to_dict("list") == {"text": ["a", "none"], "n": ["1", "2.5"]}


def lines(*objects: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, objects))


EXPORTS: dict[str, tuple[str, Callable[[], str]]] = {
    "doccano": (
        "a.jsonl",
        lambda: lines(
            {"id": 1, "text": "good", "label": ["pos"]},
            {"id": 2, "text": "none", "label": []},
            {"id": 3, "text": "bad", "label": ["neg"], "Comments": []},
        ),
    ),
    "prodigy": (
        "a.jsonl",
        lambda: lines(
            {"text": "good", "options": [], "accept": ["pos"], "answer": "accept"},
            {"text": "none", "options": [], "accept": ["neg"], "answer": "ignore"},
            {"text": "bad", "options": [], "accept": ["neg"], "answer": "accept"},
        ),
    ),
    "label_studio": (
        "a.json",
        lambda: json.dumps(
            [
                {
                    "id": number,
                    "data": {"text": text},
                    "annotations": [
                        {
                            "was_cancelled": False,
                            "result": [
                                {
                                    "type": "choices",
                                    "from_name": "mood",
                                    "value": {"choices": [label]},
                                }
                            ]
                            if label
                            else [],
                        }
                    ],
                }
                for number, (text, label) in enumerate(
                    [("good", "pos"), ("none", None), ("bad", "neg")]
                )
            ]
        ),
    ),
    "argilla": (
        "a.json",
        lambda: json.dumps(
            [
                {"id": "1", "fields": {"text": "good"}, "responses": {"label": [{"value": "pos"}]}},
                {"id": "2", "fields": {"text": "none"}, "responses": {}},
                {
                    "id": "3",
                    "fields": {"text": "bad"},
                    "responses": {"label": [{"value": "neg"}, {"value": "neg"}]},
                },
            ]
        ),
    ),
    "argilla 1": (
        "a.jsonl",
        lambda: lines(
            {"text": "good", "annotation": "pos", "status": "Validated", "inputs": {}},
            {"text": "none", "annotation": None, "status": "Default", "inputs": {}},
            {"text": "bad", "annotation": "neg", "status": "Validated", "inputs": {}},
        ),
    ),
}


@pytest.mark.parametrize("tool", EXPORTS)
def test_exports_of_annotation_tools(tool: str, tmp_path: Path) -> None:
    name, make = EXPORTS[tool]
    frame = read_table(written(tmp_path, name, make()))
    assert frame["text"].tolist() == ["good", "none", "bad"]
    assert frame["label"].fillna("missing").tolist() == ["pos", "missing", "neg"]


def test_annotators_who_disagree_have_no_one_label(tmp_path: Path) -> None:
    content = json.dumps(
        [{"fields": {"text": "x"}, "responses": {"mood": [{"value": "a"}, {"value": "b"}]}}]
    )
    with table_engine() as engine:
        table = open_table(written(tmp_path, "a.json", content), engine)
        column = table.column("mood", "")
        with raises("cell-not-text", "a.json", "object 1 ", "'mood'", '["a","b"]'):
            table.refuse_problems(engine, [column])


VALUE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=6)
)


@given(st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=6))
def test_a_value_means_the_same_in_json_lines_and_in_an_array(
    rows: list[tuple[object, object]],
) -> None:
    import tempfile

    objects = [{"text": text, "label": label} for text, label in rows]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = read_table(written(folder, "a.jsonl", "\n".join(map(json.dumps, objects))))
        assert one.columns.tolist() == ["text", "label"]
        for column, place in (("text", 0), ("label", 1)):
            for found, row in zip(one[column], rows, strict=True):
                value = row[place]
                if value is None or (isinstance(value, float) and not abs(value) < float("inf")):
                    assert pd.isna(found)
                elif isinstance(value, str):
                    assert found == value
                else:
                    assert json.loads(found) == value


def test_what_argilla_holds_as_no_answer(tmp_path: Path) -> None:
    records = [
        {
            "fields": {"text": status},
            "responses": {"mood": [{"value": "pos", "status": status}]},
            "metadata": {"film": "f1"},
        }
        for status in ("submitted", "draft", "discarded")
    ]
    frame = read_table(written(tmp_path, "a.json", json.dumps(records)))
    assert frame["mood"].fillna("none").tolist() == ["pos", "none", "none"]
    assert frame["film"].tolist() == ["f1"] * 3
    feedback = {
        "fields": {"text": "good"},
        "responses": [
            {"user_id": "u", "values": {"mood": {"value": "pos"}}, "status": "submitted"}
        ],
    }
    frame = read_table(written(tmp_path, "b.jsonl", json.dumps(feedback)))
    assert frame["mood"].tolist() == ["pos"]
    old = {"text": "bad", "annotation": "neg", "status": "Discarded", "inputs": {}}
    frame = read_table(written(tmp_path, "c.jsonl", json.dumps(old)))
    assert frame["label"].isna().all()
    plain = {"text": "mine", "annotation": "final", "status": "done", "label": "pos"}
    frame = read_table(written(tmp_path, "d.jsonl", json.dumps(plain)))
    assert frame["label"].tolist() == ["pos"], "not an export"


def task(data: dict[str, Any], **choices: str) -> dict[str, Any]:
    result = [
        {"type": "choices", "from_name": name, "value": {"choices": [one]}}
        for name, one in choices.items()
    ]
    return {"data": data, "annotations": [{"result": result}]}


def test_label_studio_with_several_questions(tmp_path: Path) -> None:
    tasks = [task({"text": "a"}, mood="pos"), task({"text": "b"}, mood="neg", kind="review")]
    frame = read_table(written(tmp_path, "a.json", json.dumps(tasks)))
    assert frame.columns.tolist() == ["text", "mood", "kind"], "which one is the label is not told"
    imported = [task({"text": "a", "label": "old"}, mood="pos")]
    frame = read_table(written(tmp_path, "b.json", json.dumps(imported)))
    assert frame.to_dict("list") == {"text": ["a"], "label": ["old"], "mood": ["pos"]}
    with raises("row-invalid", "c.json", "object 1", "'text'"):
        read_table(written(tmp_path, "c.json", json.dumps([task({"text": "a"}, text="pos")])))
    damaged = [{"data": {"text": "a"}, "annotations": [{"result": 5}]}]
    frame = read_table(written(tmp_path, "d.json", json.dumps(damaged)))
    assert frame.to_dict("list") == {"text": ["a"]}


def test_doccano_is_told_by_any_of_its_first_rows(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "a", "label": None}, {"id": 2, "text": "b", "label": ["pos"]}]
    with table_engine() as engine:
        table = open_table(written(tmp_path, "a.jsonl", lines(*rows)), engine)
        assert "an export of doccano" in table.notes[0]
        cell = table.column("label", "").cell
        assert engine.all(f"SELECT {cell} FROM {table.relation} ORDER BY row") == [
            (None,),
            ("pos",),
        ]


def test_packed_twice(tmp_path: Path) -> None:
    content = gzip.compress(gzip.compress(b"text\ngood\n"))
    assert read_table(written(tmp_path, "a.csv.gz", content))["text"].tolist() == ["good"]


def test_a_parquet_file_without_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({}), tmp_path / "a.parquet")
    with raises("file-invalid", "a.parquet", "no column"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("times", [1, 2])
def test_what_would_fill_the_disk_is_refused(
    pack: Callable[[bytes], bytes], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 20)
    content = b"text,label\n" + b"0" * (20 << 20)
    for _ in range(times):
        content = pack(content)
    assert len(content) < 100_000
    with raises("unpacked-too-large", "bomb.csv", f"{len(content):,} bytes"):
        read_table(written(tmp_path, "bomb.csv", content))


def test_tables_that_pack_well_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 10)
    rows = "text,label\n" + "".join(f"film {n % 10} was good,a\n" for n in range(2000))
    file = written(tmp_path, "rows.csv.gz", gzip.compress(rows.encode()))
    assert len(rows) > 20 * file.stat().st_size
    assert len(read_table(file)) == 2000
