"""Every mistake ends in one message that names what was found, and leaves nothing behind."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decant.runtime.errors import UserError


def rows(count: int) -> list[tuple[str, ...]]:
    return [(f"text {index}", "ab"[index % 2]) for index in range(count)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "missing.csv"}, r"no file or folder at 'missing\.csv'"),
        ({"text_column": "body"}, r"no column 'body' in source\.csv; it has: text, label"),
        ({"label_column": "class"}, r"no column 'class' in source\.csv; it has: text, label"),
        ({"group_by": "film"}, r"no column 'film' in source\.csv; it has: text, label"),
        ({"format": "xls"}, "unknown format 'xls'"),
        ({"source": [("one text", "a"), ("two texts", "a")]}, "only one class in the data: a"),
        ({"source": [("", "a"), ("x", "")]}, "no row of ingest.source has both text and label"),
        ({"labels": ["a", "c"]}, "class 'c' of ingest.labels has no row .* labels found: a, b"),
        ({"labels": ["a", "a"]}, "names a class twice"),
        ({"labels": ["a", "b"], "unlabelled_labels": ["b"]}, "'b' is both in"),
        ({"test": [("t", "a"), ("u", "c")]}, r"test\.csv:2: label 'c' is never seen in training"),
        ({"validation": [("t", "d")]}, r"validation\.csv:1: label 'd' is never seen"),
        ({"test": [("", "a")]}, "no usable row in ingest.test"),
        ({"label_budget": 500}, "label_budget is 500, but there are only 30"),
        ({"label_budget": 1}, "less than one for each of 2 classes"),
        ({"label_budget": 16, "label_budget_per_class": True}, "class '.' has only 15"),
        ({"test_fraction": 0.9}, r"ingest\.test_fraction: .*less than or equal to 0\.5.*0\.9"),
        ({"source": rows(2)}, "the test split cannot be made from 2 rows"),
        ({"source": [*rows(40), ("c", "c")]}, "smallest class: 'c' with 1"),
        ({"local_corpus": "/nowhere"}, "lies outside of '/nowhere', so that DVC would not see"),
        ({"local_encoder": "/nowhere"}, "lies outside of '/nowhere', so that DVC would not see"),
        ({"colour": 1}, r"ingest\.colour: unknown parameter"),
    ],
)
def test_mistakes(ingest, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        ingest(**{"source": rows(40), **changes})
    assert not [path for path in tmp_path.rglob("*") if path.is_dir() and any(path.iterdir())]


def test_empty_file(ingest, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(UserError, match=r"empty\.csv is empty"):
        ingest(source=str(tmp_path / "empty.csv"))


def test_text_column_of_bytes(ingest, tmp_path: Path) -> None:
    table = {"text": [b"\xff\xfe", b"\x80"], "label": ["a", "b"]}
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    with pytest.raises(UserError, match=r"column 'text' of rows\.parquet cannot be read as text"):
        ingest(source=str(tmp_path / "rows.parquet"))


def test_wrong_sha256(ingest, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(UserError, match=f"expected {'0' * 64}, found [0-9a-f]{{64}}"):
        ingest(source=f"file://{tmp_path}/a.csv#sha256={'0' * 64}")


def test_encoder_that_is_none(ingest, tmp_path: Path) -> None:
    (tmp_path / "gpt").mkdir()
    (tmp_path / "gpt" / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UserError, match="'gpt2', which is no BERT-family encoder"):
        ingest(source=rows(40), encoder=str(tmp_path / "gpt"), local_encoder=str(tmp_path))


def test_folder_without_data(ingest, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no data file in the folder"):
        ingest(source=str(tmp_path / "empty"))
