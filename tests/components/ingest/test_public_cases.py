"""Files on which other tools went wrong, each with what is right: see tests/cases/README.md."""

import json
from pathlib import Path

import pandas as pd
import pytest

from decant.runtime.identity import PROJECT
from tests.components.ingest.conftest import Ingest
from tests.errors import raises

CASES = PROJECT / "tests" / "cases"


@pytest.fixture
def case(ingest: Ingest):
    """Runs ingest on a file of the cases."""

    def run(case: str, **changes: object):
        return ingest(source=str(CASES / case), **{"local_corpus": str(CASES), **changes})

    return run


def test_a_quote_that_is_never_closed(case) -> None:
    with raises("row-invalid", "unclosed_quotes.csv", "data row 21 ", "line 22 ", "quotes"):
        case("unclosed_quotes.csv")


def test_two_stray_quotes_that_close_each_other(ingest, tmp_path: Path) -> None:
    """Correct to the letter: 130 rows are one field of one row."""
    lines = (CASES / "unclosed_quotes.csv").read_text().splitlines()
    opens = next(n for n, line in enumerate(lines) if line.startswith('"'))
    closes = next(n for n, line in enumerate(lines) if line.startswith('"') and n > opens)
    text, label = lines[closes].removeprefix('"').rsplit(",", 1)
    lines[closes] = f'{text}",{label}'
    file = tmp_path / "stray.csv"
    file.write_text("\n".join(lines) + "\n")
    assert len(pd.read_csv(file)) == 70, "the usual reader takes it"
    with raises("row-invalid", "stray.csv", f"data row {opens} ", f"{closes - opens + 1} lines"):
        ingest(source=str(file))


def test_texts_of_several_lines_are_texts(ingest, tmp_path: Path) -> None:
    rows = [
        (f"line one, of {n}\nand pos, two\n\nthree", "pos" if n % 2 else "neg") for n in range(40)
    ]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "lines.csv", index=False)
    assert ingest(source=str(tmp_path / "lines.csv")).metrics["rows_rejected"] == 0


def test_a_group_is_one_in_both_spellings(case) -> None:
    result = case("groups_train.csv", test=str(CASES / "groups_test.csv"), group_by="customer")
    assert result.metrics["group_leaks_dropped_for_given_splits"] == 120
    assert result.metrics["rows_in"] == 260
    kept = {group for name in ("train", "validation") for group in result.split(name)["group"]}
    assert not kept & set(result.split("test")["group"])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_group_is_one_in_every_format(ingest, tmp_path: Path, suffix: str) -> None:
    """Customers are 100 in the CSV, and the number 100.0 in the other file."""
    train = pd.DataFrame(
        {
            "text": [f"text {n}" for n in range(80)],
            "label": ["a", "b"] * 40,
            "customer": [100 + n // 4 for n in range(80)],
        }
    )
    train.to_csv(tmp_path / "train.csv", index=False)
    test = pd.DataFrame(
        {
            "text": [f"other {n}" for n in range(5)],
            "label": ["a", "b", "a", "b", "a"],
            "customer": [100.0, 101.0, 102.0, None, 100.5],
        }
    )
    file = tmp_path / f"test.{suffix}"
    match suffix:
        case "csv":
            test.to_csv(file, index=False)
        case "jsonl":
            test.to_json(file, orient="records", lines=True)
        case _:
            test.to_parquet(file)
    result = ingest(source=str(tmp_path / "train.csv"), test=str(file), group_by="customer")
    assert result.metrics["group_leaks_dropped_for_given_splits"] == 12
    assert result.split("test")["group"].fillna("none").tolist() == [
        "100",
        "101",
        "102",
        "none",
        "100.5",
    ]


def test_a_class_is_one_in_both_spellings(case, capsys: pytest.CaptureFixture[str]) -> None:
    result = case("labels_two_spellings")
    assert result.labels == ("0", "1")
    assert "'1.0' as '1'" in capsys.readouterr().out


def test_true_is_one_class_in_every_format(ingest, tmp_path: Path) -> None:
    rows = [(f"text {n}", n % 2 == 0) for n in range(40)]
    frame = pd.DataFrame(rows, columns=["text", "label"])
    folder = tmp_path / "mixed"
    folder.mkdir()
    frame.iloc[:10].to_csv(folder / "a.csv", index=False)  # True
    frame.iloc[10:20].to_json(folder / "b.jsonl", orient="records", lines=True)  # true
    frame.iloc[20:30].to_parquet(folder / "c.parquet")
    frame.iloc[30:].replace({True: "TRUE", False: "FALSE"}).to_csv(folder / "d.csv", index=False)
    result = ingest(source=str(folder), labels=["TRUE", "False"])
    assert result.labels == ("true", "false")
    assert result.metrics["rows_rejected"] == 0


def test_doccano(case, ingest, tmp_path: Path) -> None:
    with raises("cell-not-text", "doccano_export.jsonl", "line 6 ", "positive", "negative"):
        case("doccano_export.jsonl")
    rows = [json.loads(line) for line in (CASES / "doccano_export.jsonl").open()]
    single = [row for row in rows if len(row["label"]) < 2]
    file = tmp_path / "export.jsonl"
    file.write_text("\n".join(map(json.dumps, single)))
    result = ingest(source=str(file), unlabelled_labels=[""])
    assert result.labels == ("negative", "positive")
    empty = sum(not row["label"] for row in single)
    assert empty == 20 and result.metrics["rows_unlabelled"] == empty


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_two_columns_of_one_name(case, suffix: str) -> None:
    with raises("columns-same-name", f"two_columns_of_one_name.{suffix}", "2 columns", "'label'"):
        case(f"two_columns_of_one_name.{suffix}")


def test_a_broken_row_behind_a_long_text(case) -> None:
    name = "long_text_and_a_broken_row.csv"
    with raises("row-invalid", name, "data row 50 ", "3 fields", "2 columns"):
        case(name)


def test_semicolons(case, capsys: pytest.CaptureFixture[str]) -> None:
    result = case("semicolons.csv")
    assert result.labels == ("neg", "pos")
    assert result.metrics["rows_in"] == 60 and result.metrics["rows_rejected"] == 0
    assert "semicolons.csv are separated by semicolons" in capsys.readouterr().out


def test_semicolons_in_a_file_of_more_text(case) -> None:
    result = case("semicolons.csv", unlabelled=[str(CASES / "unlabelled_semicolons.csv")])
    texts = result.split("unlabelled")["text"]
    assert len(texts) > 0 and not texts.str.contains(";").any()
    assert result.metrics["rows_in"] == 110


def test_a_zip_archive(case) -> None:
    with raises("file-not-table", "zip_named.csv", "zip archive", "unpack it"):
        case("zip_named.csv")


def test_headers_in_the_data(case) -> None:
    result = case("headers_in_the_data.csv", group_by="film")
    assert result.labels == ("negative", "positive")
    lines = (CASES / "headers_in_the_data.csv").read_text().splitlines()
    rows = [number for number, line in enumerate(lines) if number and line == lines[0]]
    assert len(rows) == 2
    found = {place for place, reason in result.reasons.items() if reason == "the header once more"}
    assert found == {f"headers_in_the_data.csv:{row}" for row in rows}


def test_classes_with_one_row(case) -> None:
    name = "classes_with_one_row.csv"
    with raises("classes-rare", "ingest.rare_classes", "train_only", "drop") as refused:
        case(name)
    assert "test_fraction" not in str(refused.value), "no remedy that cannot help"
    sizes = pd.read_csv(CASES / name)["label"].value_counts()
    rare = set(sizes[sizes < 3].index)
    dropped = case(name, rare_classes="drop", name="dropped")
    assert len(dropped.labels) == len(sizes) - len(rare)
    assert dropped.metrics["rejected_rare_class"] == sizes[list(rare)].sum()
    trained = case(name, rare_classes="train_only", name="trained")
    assert len(trained.labels) == len(sizes)
    assert rare <= set(trained.split("train")["label"])
    assert not rare & set(trained.split("test")["label"])
    with raises("class-empty", "no row left", "train_only"):
        case(name, min_rows_per_class=1, name="every")
