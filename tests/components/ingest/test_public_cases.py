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


def write(folder: Path, name: str, content: str) -> str:
    (folder / name).write_text(content, "utf-8")
    return str(folder / name)


def lines(count: int, row: str = "text {n},{label}") -> str:
    return "".join(row.format(n=n, label="pos" if n % 2 else "neg") + "\n" for n in range(count))


def test_a_line_break_in_the_header_costs_no_row(ingest, tmp_path: Path) -> None:
    rows = lines(40, "note,text {n},{label}")
    for number, end in enumerate(("\n", "\r\n", "\r")):
        content = ('"note\n(free)\nof it",text,label\n' + rows).replace("\n", end)
        (tmp_path / "header.csv").write_bytes(content.encode())
        result = ingest(f"run {number}", source=str(tmp_path / "header.csv"))
        assert result.metrics["rows_in"] == 40
        assert result.split("train")["text"].str.fullmatch(r"text \d+").all()


def test_swallowed_rows_whose_label_comes_first(ingest, tmp_path: Path) -> None:
    rows = [f"{'pos' if n % 2 else 'neg'},text {n}" for n in range(60)]
    rows[10] = 'pos,"an open quote'
    rows[22] = 'neg,a closing one"'
    file = write(tmp_path, "first.csv", "\n".join(["label,text", *rows]) + "\n")
    with raises("row-invalid", "first.csv", "data row 11 ", "13 lines"):
        ingest(source=file)


def test_swallowed_rows_without_a_label(ingest, tmp_path: Path) -> None:
    rows = [f"{n},text {n}" for n in range(60)]
    rows[10] = '10,"an open quote'
    rows[22] = '22,a closing one"'
    more = write(tmp_path, "more.csv", "\n".join(["id,text", *rows]) + "\n")
    with raises("row-invalid", "more.csv", "data row 11 ", "13 lines"):
        ingest(source=write(tmp_path, "a.csv", "text,label\n" + lines(40)), unlabelled=[more])


def test_prose_of_several_lines_that_ends_in_a_label_is_a_text(ingest, tmp_path: Path) -> None:
    rows = lines(40) + '"Would I buy it again?\nHonestly, neg",neg\n'
    result = ingest(source=write(tmp_path, "a.csv", "text,label\n" + rows))
    assert result.metrics["rows_rejected"] == 0


def test_a_text_cut_at_its_comma_is_refused(ingest, tmp_path: Path) -> None:
    rows = lines(40, "{n},text {n},{label}") + "201,loved it, pos,\n"
    file = write(tmp_path, "cut.csv", "id,text,label\n" + rows)
    with raises("row-invalid", "cut.csv", "data row 41 ", "4 fields", "3 columns"):
        ingest(source=file)
    missing = lines(40, "{n},text {n},{label}") + "201,no label,\n"
    result = ingest(source=write(tmp_path, "missing.csv", "id,text,label\n" + missing))
    assert result.reasons == {"missing.csv:41": "no label"}


def test_versions_stay_what_they_are(ingest, tmp_path: Path) -> None:
    rows = "".join(f"text {n},{('3.1', '3.10', '3.9')[n % 3]}\n" for n in range(60))
    result = ingest(source=write(tmp_path, "a.csv", "text,label\n" + rows))
    assert result.labels == ("3.1", "3.10", "3.9")


def test_a_file_without_a_header_of_more_texts(ingest, tmp_path: Path) -> None:
    source = write(tmp_path, "a.csv", "text,label\n" + lines(40))
    more = write(tmp_path, "more.csv", "the first of the texts\nanother one of them\n")
    with raises("header-missing", "more.csv", "the first of the texts", ".txt"):
        ingest(source=source, unlabelled=[more])


@pytest.mark.parametrize("name", ["more.txt", "more.csv", "more.tsv"])
def test_json_lines_of_another_name(ingest, tmp_path: Path, name: str) -> None:
    source = write(tmp_path, "a.csv", "text,label\n" + lines(40))
    more = write(tmp_path, name, '{"text": "one more", "label": "pos"}\n{"text": "and one"}\n')
    result = ingest(source=source, unlabelled=[more])
    assert result.split("unlabelled")["text"].tolist() == ["one more", "and one"]


def test_excels_own_first_line(ingest, tmp_path: Path) -> None:
    rows = lines(40, "text, {n};{label}")
    result = ingest(source=write(tmp_path, "a.csv", "\ufeffsep=;\ntext;label\n" + rows))
    assert result.metrics["rows_in"] == 40 and result.metrics["rows_rejected"] == 0


def test_marks_that_nobody_sees_in_the_header(ingest, tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "\ufeff\ufefftext\u200b,label\n" + lines(40))
    assert ingest(source=file).metrics["rows_in"] == 40


def test_lines_of_several_systems(ingest, tmp_path: Path) -> None:
    halves = [lines(20), "".join(f"more {n},pos\r" for n in range(20)), "x,neg\r\ny,pos\r\n"]
    (tmp_path / "a.csv").write_bytes(("text,label\n" + "".join(halves)).encode())
    assert ingest(source=str(tmp_path / "a.csv")).metrics["rows_in"] == 42


def test_backslashes_that_escape_nothing_stay(ingest, tmp_path: Path) -> None:
    rows = lines(40) + '"C:\\new \\"x\\", and \\\\ too",pos\n'
    result = ingest(source=write(tmp_path, "a.csv", "text,label\n" + rows), test_fraction=0.1)
    texts = {
        text for name in ("train", "validation", "test") for text in result.split(name)["text"]
    }
    assert 'C:\\new "x", and \\ too' in texts


def test_what_a_folder_has_beside_the_data_is_told(
    ingest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, "a.csv", "text,label\n" + lines(40))
    write(folder, "._a.csv", "\x00\x05\x16\x07")
    write(folder, "b.xlsx", "PK")
    (folder / "more").mkdir()
    assert ingest(source=str(folder)).metrics["rows_in"] == 40
    told = " ".join(capsys.readouterr().out.split())
    assert "not read in 'data': b.xlsx, more" in told and "._a" not in told


def test_classes_that_look_alike_are_warned_of(
    ingest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"text {n},{('Pos', 'pos', 'neg')[n % 3]}\n" for n in range(60))
    assert len(ingest(source=write(tmp_path, "a.csv", "text,label\n" + rows)).labels) == 3
    assert "'Pos'/'pos'" in capsys.readouterr().out


def test_numbers_too_large_to_count_are_one_group(ingest, tmp_path: Path) -> None:
    train = pd.DataFrame(
        {"text": [f"text {n}" for n in range(40)], "label": ["a", "b"] * 20, "group": 10**17}
    )
    train.loc[10:, "group"] = range(30)
    train.to_parquet(tmp_path / "train.parquet")
    test = pd.DataFrame({"text": ["x", "y"], "label": ["a", "b"], "group": [1e17, 5.0]})
    test.to_parquet(tmp_path / "test.parquet")
    result = ingest(
        source=str(tmp_path / "train.parquet"),
        test=str(tmp_path / "test.parquet"),
        group_by="group",
    )
    assert result.metrics["group_leaks_dropped_for_given_splits"] == 11


def test_no_temporary_path_in_an_error(ingest, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "bad[1].parquet"
    rows = [f"text {n} {n * 7919}" for n in range(20_000)]
    pq.write_table(pa.table({"text": rows, "label": ["a", "b"] * 10_000}), file)
    content = bytearray(file.read_bytes())
    content[1000:3000] = bytes(2000)
    file.write_bytes(bytes(content))
    with raises("file-invalid", "bad[1].parquet") as refused:
        ingest(source=str(file))
    assert "tables-" not in str(refused.value) and "/tmp" not in str(refused.value)
