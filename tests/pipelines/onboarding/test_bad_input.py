"""Data that cannot be used: each gets one clear message, and never a parameter file."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from decant.runtime.errors import UserError
from tests.errors import assert_error
from tests.pipelines.onboarding.conftest import Init, labels, table, texts


def refused(init: Init, source: object, *words: str) -> UserError:
    """The error; nothing is written, also where every proposal is accepted."""
    before = sorted(Path.cwd().iterdir())
    result = init(source, *words)
    assert isinstance(result.exception, UserError), result.output
    assert sorted(Path.cwd().iterdir()) == before
    return result.exception


def written(name: str, content: str | bytes) -> Path:
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def zipped(name: str) -> Path:
    with zipfile.ZipFile(name, "w") as archive:
        archive.writestr("train.csv", "text,label\n")
    return Path(name)


def rows(delimiter: str, count: int = 60) -> str:
    lines = [f"text{delimiter}label"]
    lines += [f"{text}, indeed{delimiter}{'ab'[n % 2]}" for n, text in enumerate(texts(count))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda: written("x.csv", ""), "file-empty", "x.csv is empty"),
        (lambda: written("x.csv", " \n\n"), "file-empty", "white space"),
        (lambda: written("x.csv", "text,label\n"), "file-empty", "no rows"),
        (lambda: zipped("x.csv"), "file-not-table", "zip archive"),
        (lambda: written("x.csv", b"\x1f\x8b\x08rest"), "file-invalid", "unpacked, gzip has"),
        (
            lambda: written("x.csv", b"\x89PNG\r\n\x1a\n" + bytes(99)),
            "file-not-table",
            "PNG picture",
        ),
        (lambda: written("x.csv", b"%PDF-1.7\n%"), "file-not-table", "PDF document"),
        (lambda: written("x.csv", b"text\x00label\n" * 9), "file-not-table", "zero bytes"),
        (lambda: written("x.csv", "text,label\n".encode("utf-16")), "file-not-table", "UTF-16"),
        (lambda: written("x.csv", "\n<!DOCTYPE html><html>"), "file-placeholder", "web page"),
        (
            lambda: written("x.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:4d\n"),
            "file-placeholder",
            "Git LFS pointer",
        ),
        (
            lambda: written("x.csv", "outs:\n- md5: 4d7a\n  path: x.csv\n"),
            "file-placeholder",
            "DVC pointer",
        ),
        (lambda: written("x.jsonl", '[{"text": "a"'), "file-invalid", "JSON array"),
        (lambda: written("x.csv", b"text,label\ncaf\xe9,a\n"), "encoding-not-utf8", "not UTF-8"),
        (lambda: Path("nowhere.csv"), "file-missing", "no file or folder"),
    ],
)
def test_a_file_that_cannot_be_read(
    init: Init, make: Callable[[], Path], code: str, words: str
) -> None:
    error = refused(init, make(), "--yes")
    assert_error(error, code, words)


def test_rows_that_a_quote_would_swallow(init: Init) -> None:
    lines = rows(",").replace(", indeed", "").splitlines()
    lines[3] = f'"{lines[3]}'
    lines[9] = f'"{lines[9]}'
    written("x.csv", "\n".join(lines) + "\n")
    error = refused(init, "x.csv", "--yes")
    assert_error(error, "row-invalid", "data row 3 ", "line 4 ")


def test_a_row_that_is_too_long_behind_a_very_long_text(init: Init) -> None:
    lines = rows(",").replace(", indeed", "").splitlines()
    lines[3] = f"{'a very long text ' * 10_000},a"
    lines[9] += ",more"
    written("x.csv", "\n".join(lines) + "\n")
    error = refused(init, "x.csv")
    assert_error(error, "row-invalid", "data row 9 ", "3 fields")


def test_headers(init: Init) -> None:
    written("x.csv", rows(",").replace(", indeed", "").removeprefix("text,label\n"))
    assert refused(init, "x.csv", "--yes").code == "header-missing"
    written("x.csv", "text,label,label\n" + "good film,a,b\n" * 3)
    error = refused(init, "x.csv", "--yes")
    assert_error(error, "columns-same-name", "2 columns", "'label'")


def test_repeated_headers_are_no_class(init: Init, project: Path) -> None:
    lines = rows(",").replace(", indeed", "").splitlines()
    written("x.csv", "\n".join([*lines, lines[0], *lines[1:9], lines[0]]) + "\n")
    result = init("x.csv")
    assert result.exit_code == 0, result.output
    assert "2 rows repeat the header and are left out" in result.output
    assert "  labels: [a, b] # without 'label' (the header, repeated in 2 rows)" in (
        (project / "x.yaml").read_text().splitlines()
    )


@pytest.mark.parametrize(
    ("columns", "words", "code", "named"),
    [
        ({"text": texts(60)}, [], "labels-missing", "'text'"),
        ({"text": texts(60), "id": range(60)}, [], "label-column-missing", "60 different values"),
        (
            {"text": texts(60), "label": [f"row {n}" for n in range(60)]},
            [],
            "label-column-missing",
            "'label': 60 rows have 60 different values",
        ),
        (
            {"text": texts(60), "label": [f"row {n}" for n in range(60)]},
            ["--label-column", "label"],
            "label-not-classes",
            "ids or texts",
        ),
        (
            {"text": texts(60), "label": [n * 0.37 for n in range(60)]},
            [],
            "label-column-missing",
            "60 different numbers",
        ),
        (
            {"text": texts(60), "label": [n * 0.37 for n in range(60)]},
            ["--label-column", "label", "--yes"],
            "label-not-classes",
            "a measure, not classes",
        ),
        (
            {"text": texts(300), "label": [18 + n % 50 for n in range(300)]},
            ["--label-column", "label"],
            "label-codes-or-measure",
            "50 different whole numbers",
        ),
        ({"text": texts(60), "label": ["a"] * 60}, [], "label-column-missing", "always 'a'"),
        (
            {"text": texts(60), "label": labels(60, "a", "b")},
            ["--label-column", "lable"],
            "column-unknown",
            "it has: text, label",
        ),
        (
            {"number": range(60), "label": labels(60, "a", "b")},
            [],
            "text-column-unclear",
            "no column of x.csv looks like text",
        ),
        (
            {"a": texts(60), "b": texts(60, 1), "label": labels(60, "a", "b")},
            [],
            "text-column-unclear",
            "a, b",
        ),
        (
            {"text": texts(60), "x": labels(60, "a", "b"), "z": labels(60, "c", "d", "e")},
            [],
            "label-column-unclear",
            "x, z",
        ),
        (
            {"text": texts(60), "label": labels(60, "Good", "good", "bad")},
            ["--yes"],
            "label-spellings",
            "'Good' (20 rows), 'good' (20 rows)",
        ),
        (
            {"text": texts(60), "label": labels(60, '["a"]', '["b"]', "[]")},
            ["--yes"],
            "label-lists",
            '["a"]',
        ),
        (
            {"text": texts(61), "label": [*labels(60, "a", "b"), "c"]},
            [],
            "classes-rare",
            "1 of 3 classes",
        ),
        (
            {"text": texts(60), "label": labels(60, "a", "b", "unknown")},
            [],
            "label-mark-unclear",
            "'unknown' (20 rows)",
        ),
    ],
)
def test_columns_that_do_not_fit(
    init: Init, columns: dict[str, list[object]], words: list[str], code: str, named: str
) -> None:
    table(Path("x.csv"), columns)
    error = refused(init, "x.csv", *words)
    assert_error(error, code, named)
    assert error.hint


def test_a_folder_with_mixed_formats(init: Init) -> None:
    columns = {"text": texts(60), "label": labels(60, "a", "b")}
    table(Path("mixed/a.csv"), columns)
    table(Path("mixed/b.jsonl"), columns)
    error = refused(init, "mixed")
    assert_error(error, "formats-mixed", "1 csv, 1 jsonl")
    assert refused(init, "mixed", "--yes").code == "formats-mixed"  # there is nothing to propose
    result = init("mixed", answers=["b.jsonl"])
    assert result.exit_code == 0, result.output
    assert "  source: mixed/b.jsonl # chosen" in Path("mixed.yaml").read_text().splitlines()


def test_a_folder_that_cannot_be_told_apart(init: Init) -> None:
    columns = {"text": texts(60), "label": labels(60, "a", "b")}
    Path("empty").mkdir()
    assert refused(init, "empty").code == "folder-empty"
    for name in ("test", "x", "y"):
        table(Path(f"three/{name}.csv"), columns)
    assert refused(init, "three", "--yes").code == "training-file-unclear"
    for name in ("train-1", "train-2", "test"):
        table(Path(f"shards/{name}.csv"), columns)
    error = refused(init, "shards", "--yes")
    assert_error(error, "split-ambiguous", "train-1.csv, train-2.csv")


def test_labels_of_a_given_split_that_training_never_has(init: Init, project: Path) -> None:
    table(Path("x/train.csv"), {"text": texts(60), "label": labels(60, "a", "b")})
    table(Path("x/test.csv"), {"text": texts(30, 1), "label": labels(30, "a", "b", "c")})
    error = refused(init, "x")
    assert_error(error, "classes-unseen", "'c' (10 rows)")
    assert init("x", "--yes").exit_code == 0
    assert "  labels: [a, b] # without 'c' (in a given split only)" in (
        (project / "x.yaml").read_text().splitlines()
    )


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_other_delimiters_are_found(init: Init, delimiter: str) -> None:
    written("x.csv", rows(delimiter))
    result = init("x.csv")
    assert result.exit_code == 0, result.output
    assert "2 classes: a 30, b 30" in result.output


def test_numbers_have_one_spelling(init: Init, project: Path) -> None:
    """A class that is 1 in one row and 1.0 in another; a group of a given split likewise."""
    train = {"text": texts(60), "label": labels(60, "1", "1.0", "0")}
    table(Path("x/train.csv"), train | {"customer": [str(100 + n // 3) for n in range(60)]})
    test = {"text": texts(30, 1), "label": labels(30, "1", "0")}
    table(Path("x/test.csv"), test | {"customer": [f"{200 + n // 3}.0" for n in range(30)]})
    result = init("x", "--yes")
    assert result.exit_code == 0, result.output
    assert "2 classes: 0 20, 1 40" in result.output


def test_what_ingest_itself_refuses_is_not_written(init: Init) -> None:
    # All rows of class b are of one customer: they are in one split, so that another lacks them.
    customers = [f"c{n // 2}" if n % 2 == 0 else "one" for n in range(60)]
    columns = {"text": texts(60), "label": labels(60, "a", "b"), "customer": customers}
    table(Path("x.csv"), columns)
    error = refused(init, "x.csv", "--group-column", "customer")
    assert_error(error, "class-empty", "class 'b'")


def test_json_lines_that_are_called_csv(init: Init, project: Path) -> None:
    lines = [
        json.dumps({"text": text, "label": "ab"[number % 2]})
        for number, text in enumerate(texts(60))
    ]
    written("x.csv", "\n".join(lines))
    assert init("x.csv").exit_code == 0
    assert "  format: jsonl # what the files' names do not imply" in (
        (project / "x.yaml").read_text().splitlines()
    )
