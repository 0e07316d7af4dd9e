"""Which file is for what, by name and content, and what a URI of it is."""

from pathlib import Path

import pytest
from rich.console import Console

from decant.runtime.identity import file_digest
from pipelines.onboarding.data_files import find_data, inner_uri, role_of
from pipelines.onboarding.file_content import content_format
from pipelines.onboarding.questions import Questions
from tests.pipelines.onboarding.conftest import labels, table, texts

COLUMNS = {"text": texts(20), "label": labels(20, "a", "b")}


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train.csv", "source"),
        ("sst2_train.jsonl.gz", "source"),
        ("train-00000-of-00001.parquet", "source"),
        ("dev.tsv", "validation"),
        ("my-valid.csv", "validation"),
        ("Test.csv", "test"),
        ("unlabeled_train.csv", "unlabelled"),
        ("train_test.csv", None),
        ("reviews.csv", None),
        ("latest.csv", None),
        ("training.csv", "source"),
    ],
)
def test_roles_by_name(name: str, role: str | None) -> None:
    assert role_of(name) == role


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_formats_by_content(tmp_path: Path, suffix: str) -> None:
    file = table(tmp_path / f"x{suffix}", COLUMNS)
    assert content_format(file) == suffix[1:]
    other = file.rename(tmp_path / "x.dat")
    assert content_format(other) == suffix[1:]


def test_a_list_of_texts_is_text(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("one text, as it is\nanother one\nand, of all, a third\n")
    assert content_format(file) == "txt"


def find(uri: object, **given: object) -> dict[str, object]:
    found = find_data(str(uri), Questions(console=Console()), **given)  # type: ignore[arg-type]
    return {
        "source": Path(found.source.uri).name,
        "validation": Path(found.validation.uri).name if found.validation else None,
        "test": Path(found.test.uri).name if found.test else None,
        "unlabelled": [Path(one.uri).name for one in found.unlabelled],
        "aside": list(found.aside),
    }


def test_folders_of_splits(tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "test/a"):
        table(tmp_path / "splits" / f"{name}.csv", COLUMNS)
    (tmp_path / "splits/unlabelled.txt").write_text("a text\n")
    (tmp_path / "splits/notes.txt").write_text("a note\n")
    assert find(tmp_path / "splits") == {
        "source": "train",
        "validation": None,
        "test": "test",
        "unlabelled": ["unlabelled.txt"],
        "aside": ["notes.txt"],
    }


def test_files_of_one_format_are_read_one_after_the_other(tmp_path: Path) -> None:
    for name in ("2023", "2024"):
        table(tmp_path / "years" / f"{name}.csv", COLUMNS)
    found = find_data(str(tmp_path / "years"), Questions(console=Console()))
    assert [file.name for file in found.source.files] == ["2023.csv", "2024.csv"]
    assert found.how == "2 files, read one after the other"


def test_one_table_beside_a_test_file_is_the_training_data(tmp_path: Path) -> None:
    for name in ("reviews", "test"):
        table(tmp_path / "x" / f"{name}.csv", COLUMNS)
    found = find(tmp_path / "x")
    assert (found["source"], found["test"]) == ("reviews.csv", "test.csv")


def test_given_splits_win_over_names(tmp_path: Path) -> None:
    for name in ("train", "test", "other"):
        table(tmp_path / "x" / f"{name}.csv", COLUMNS)
    found = find(tmp_path / "x", test=str(tmp_path / "x/other.csv"))
    assert (found["source"], found["test"]) == ("train.csv", "other.csv")


def test_uris_of_files_in_a_folder(tmp_path: Path) -> None:
    file = table(tmp_path / "a b.csv", COLUMNS)
    assert inner_uri(str(tmp_path), tmp_path, "a b.csv") == str(file)
    pinned = "pypi://tiny==1.0/data#sha256=" + "0" * 64
    assert inner_uri(pinned, tmp_path, "a b.csv") == (
        "pypi://tiny==1.0/data/a%20b.csv#sha256=" + "0" * 64
    )
    assert inner_uri("s3://bucket/data/", tmp_path, "x.csv") == "s3://bucket/data/x.csv"
    assert inner_uri("s3://bucket/data#sha256=" + "0" * 64, tmp_path, "a b.csv") == (
        f"s3://bucket/data/a%20b.csv#sha256={file_digest(file)}"
    )


def test_prose_with_commas_is_text_and_a_table_with_tabs_is_not(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("well, yes\nno, never\noh, dear\n")
    assert content_format(file) == "txt"
    file.write_text("text\tlabel\ngood, really\ta\nbad\tb\n")
    assert content_format(file) == "tsv"
