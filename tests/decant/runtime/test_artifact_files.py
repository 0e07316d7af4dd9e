"""What no digest tells of an artifact's file is told by the reading of it, with the file's name."""

import errno
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from decant.runtime.artifact_files import read_fields, read_object, reading
from decant.runtime.errors import UserError
from tests.errors import raises


@dataclass(frozen=True, kw_only=True)
class Fields:
    length: int
    share: float
    names: tuple[str, ...]


SOUND = {"length": 16, "share": 0.5, "names": ["a", "b"]}


def written(folder: Path, content: str) -> Path:
    file = folder / "fields.json"
    file.write_text(content, "utf-8")
    return file


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    file = written(tmp_path, json.dumps(SOUND | {"share": 1}))
    assert read_fields(Fields, file) == Fields(length=16, share=1.0, names=("a", "b"))


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(SOUND | {"length": "16"}),
        json.dumps(SOUND | {"length": True}),
        json.dumps(SOUND | {"length": 16.5}),
        json.dumps(SOUND | {"share": float("nan")}),
        json.dumps(SOUND | {"share": float("inf")}),
        json.dumps(SOUND).replace("0.5", "1e400"),
        json.dumps(SOUND).replace("16", "9" * 5000),
        json.dumps(SOUND | {"names": "ab"}),
        json.dumps(SOUND | {"names": ["\ud800"]}),
        json.dumps({"length": 16, "share": 0.5}),
        "[]",
        "null",
        "",
        "[" * 100_000,
        "\x00" * 100,
    ],
)
def test_what_is_no_such_object_is_named(content: str, tmp_path: Path) -> None:
    file = written(tmp_path, content)
    with raises("artifact-damaged", str(file), "dvc repro") as caught:
        read_fields(Fields, file)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("content", ["[]", "5", '{"a": NaN}'])
def test_an_object_has_finite_numbers_alone(content: str, tmp_path: Path) -> None:
    with raises("artifact-damaged", "fields.json"):
        read_object(written(tmp_path, content))


def test_a_missing_file_and_a_library_s_error_name_the_file(tmp_path: Path) -> None:
    with raises("artifact-damaged", str(tmp_path / "no.json")):
        read_fields(Fields, tmp_path / "no.json")
    with raises("artifact-damaged", "rows.parquet", "KeyError"), reading(tmp_path / "rows.parquet"):
        raise KeyError("text")


def test_what_the_system_does_is_no_damage(tmp_path: Path) -> None:
    with raises("file-unreadable", "disk"), reading(tmp_path / "rows.parquet"):
        raise OSError(errno.EIO, "Input/output error", "disk")
    with pytest.raises(UserError) as caught, reading(tmp_path / "rows.parquet"):
        raise UserError("another", code="split-empty")
    assert caught.value.code == "split-empty"
