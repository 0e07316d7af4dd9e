"""Every mistake ends in one message that names what was found, and leaves nothing behind."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.errors import raises


def rows(count: int) -> list[tuple[str, ...]]:
    return [(f"text {index}", "ab"[index % 2]) for index in range(count)]


@pytest.mark.parametrize(
    ("changes", "code", "values"),
    [
        ({"source": "missing.csv"}, "file-missing", ["'missing.csv'"]),
        (
            {"text_column": "body"},
            "column-unknown",
            ["'body'", "source.csv", "text, label", "ingest.text_column"],
        ),
        (
            {"label_column": "class"},
            "column-unknown",
            ["'class'", "source.csv", "text, label", "ingest.label_column"],
        ),
        (
            {"group_by": "film"},
            "column-unknown",
            ["'film'", "source.csv", "text, label", "ingest.group_by"],
        ),
        ({"format": "xls"}, "format-unknown", ["'xls'"]),
        ({"source": [("one text", "a"), ("two texts", "a")]}, "class-single", [": a"]),
        ({"source": [("", "a"), ("x", "")]}, "rows-unusable", ["ingest.source"]),
        ({"labels": ["a", "c"]}, "class-empty", ["'c'", "ingest.labels", "a, b"]),
        ({"labels": ["a", "a"]}, "parameter-value", ["ingest.labels", "a, a"]),
        (
            {"labels": ["a", "b"], "unlabelled_labels": ["b"]},
            "parameter-conflict",
            ["'b'", "ingest.unlabelled_labels"],
        ),
        ({"test": [("t", "a"), ("u", "c")]}, "label-untrained", ["test.csv:2", "'c'"]),
        ({"validation": [("t", "d")]}, "label-untrained", ["validation.csv:1", "'d'"]),
        ({"test": [("", "a")]}, "rows-unusable", ["ingest.test"]),
        ({"label_budget": 500}, "label-budget", ["500", "30"]),
        ({"label_budget": 1}, "label-budget", ["2 classes"]),
        ({"label_budget": 16, "label_budget_per_class": True}, "label-budget", ["16", "15"]),
        ({"test_fraction": 0.9}, "parameter-value", ["ingest.test_fraction", "0.5", "0.9"]),
        ({"source": rows(2)}, "classes-rare", ["2 classes", "3 rows", "'a' (1), 'b' (1)"]),
        ({"source": rows(2), "min_rows_per_class": 1}, "split-impossible", ["test", "2 rows"]),
        (
            {"source": [*rows(40), ("c", "c")]},
            "classes-rare",
            ["1 class has", "'c' (1)", "ingest.rare_classes", "train_only", "drop"],
        ),
        ({"local_corpus": "/nowhere"}, "source-unwatched", ["source.csv", "'/nowhere'"]),
        ({"local_encoder": "/nowhere"}, "source-unwatched", ["encoder", "'/nowhere'"]),
        ({"colour": 1}, "parameter-unknown", ["ingest.colour"]),
    ],
)
def test_mistakes(
    ingest, changes: dict[str, Any], code: str, values: list[str], tmp_path: Path
) -> None:
    with raises(code, *values):
        ingest(**{"source": rows(40), **changes})
    assert not [path for path in tmp_path.rglob("*") if path.is_dir() and any(path.iterdir())]


def test_empty_file(ingest, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with raises("file-empty", "empty.csv"):
        ingest(source=str(tmp_path / "empty.csv"))


def test_text_column_of_bytes(ingest, tmp_path: Path) -> None:
    table = {"text": [b"\xff\xfe", b"\x80"], "label": ["a", "b"]}
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    with raises("cell-not-text", "'text'", "rows.parquet", "row 1"):
        ingest(source=str(tmp_path / "rows.parquet"))


def test_wrong_sha256(ingest, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    with raises("sha256-mismatch", "0" * 64, hashlib.sha256(b"text,label\n").hexdigest()):
        ingest(source=f"file://{tmp_path}/a.csv#sha256={'0' * 64}")


def test_encoder_that_is_none(ingest, tmp_path: Path) -> None:
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text('{"model_type": "gpt2"}')
    with raises("encoder-type-unsupported", "'gpt2'"):
        ingest(source=rows(40), encoder=str(tmp_path / "gpt"), local_encoder=str(tmp_path))


def test_folder_without_data(ingest, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with raises("file-missing", str(tmp_path / "empty")):
        ingest(source=str(tmp_path / "empty"))
