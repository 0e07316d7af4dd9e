"""Several labels per row, in every form that they may have in a file; counted by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decant.data.corpus import read_schema
from decant.data.tokens import TokenRows
from decant.runner.run_step import run_step
from decant.runtime.identity import PROJECT, content_digest
from decant.runtime.params_file import read_params_file
from tests.components.ingest.conftest import Ingest, Result
from tests.errors import raises

# Of each 10 rows: 4 a, 3 b, 2 a and b, 1 without a label.
CELLS = [["a"], ["a"], ["a"], ["a"], ["b"], ["b"], ["b"], ["a", "b"], ["b", "a"], []]


def options(**changes: object) -> dict[str, object]:
    kinds = read_params_file(PROJECT / "params.yaml")["ingest"]["kinds"]
    kinds["multi_label"] |= changes
    return {"task": "multi_label", "kinds": kinds}


def rows(count: int) -> list[tuple[str, list[str]]]:
    return [(f"text number {index}", CELLS[index % 10]) for index in range(count)]


def write(file: Path, cells: list[object], count: int | None = None) -> str:
    """A file of texts with these cells, in the format of its name."""
    texts = [f"text number {index}" for index in range(count or len(cells))]
    if file.suffix == ".csv":
        pd.DataFrame({"text": texts, "label": cells}).to_csv(file, index=False)
    elif file.suffix == ".parquet":
        pd.DataFrame({"text": texts, "label": cells}).to_parquet(file)
    else:
        lines = [
            json.dumps({"text": text, "label": cell})
            for text, cell in zip(texts, cells, strict=True)
        ]
        file.write_text("\n".join(lines))
    return str(file)


def labels_of(result: Result) -> dict[str, object]:
    """Sorted labels by row, None of an unlabelled one."""
    found: dict[str, object] = dict.fromkeys(result.ids("unlabelled"))
    for split in ("train", "validation", "test"):
        frame = result.split(split)
        found |= dict(zip(frame["row_id"], map(list, frame["label"]), strict=True))
    return {row.rpartition(":")[2]: labels for row, labels in found.items()}


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "columns"])
def test_every_form_gives_the_same_labels(ingest: Ingest, tmp_path: Path, form: str) -> None:
    cells = [cell for _, cell in rows(100)]
    if form == "columns":
        file = tmp_path / "source.csv"
        table = {"text": [text for text, _ in rows(100)]}
        table |= {one: [int(one in cell) for cell in cells] for one in "ab"}
        pd.DataFrame(table).to_csv(file, index=False)
        result = ingest(source=str(file), **options(label_columns=["a", "b"]))
    elif form == "csv":  # a lone separator is no label: an empty cell would be a missing one
        joined = [" | ".join(cell) or "|" for cell in cells]
        source = write(tmp_path / "source.csv", joined)
        result = ingest(source=source, **options(separator="|"))
    else:
        result = ingest(source=write(tmp_path / f"source.{form}", cells), **options())
    assert result.labels == ("a", "b")
    assert labels_of(result) == {str(row): sorted(cell) for row, cell in enumerate(cells, start=1)}
    target = read_schema(result.corpus).task.targets[0]
    assert target.kind == "multi_label" and target.metric == "micro_f1"
    assert target.facts == {"thresholds": "per_label", "threshold": 0.5}
    assert target.name == ("labels" if form == "columns" else "label")


def test_splits_keep_the_share_of_every_label(ingest: Ingest, tmp_path: Path) -> None:
    cells = [cell for _, cell in rows(1000)]
    source = write(tmp_path / "source.jsonl", cells)
    result = ingest(source=source, test_fraction=0.2, validation_fraction=0.25, **options())
    sizes = {"test": 200, "validation": 200, "train": 600}
    for split, size in sizes.items():
        frame = result.split(split)
        assert len(frame) == pytest.approx(size, rel=0.04)
        for label, share in (("a", 0.6), ("b", 0.5)):
            count = sum(label in row for row in frame["label"])
            assert count == pytest.approx(share * size, abs=2)
        empty = sum(len(row) == 0 for row in frame["label"])
        assert empty == pytest.approx(0.1 * size, abs=2), "rows without a label are a stratum too"
    again = ingest("again", source=source, test_fraction=0.2, validation_fraction=0.25, **options())
    assert content_digest(result.corpus) == content_digest(again.corpus)


def test_groups_stay_whole(ingest: Ingest, tmp_path: Path) -> None:
    file = tmp_path / "source.jsonl"
    file.write_text(
        "\n".join(
            json.dumps({"text": text, "label": cell, "film": f"film {number // 5}"})
            for number, (text, cell) in enumerate(rows(400))
        )
    )
    result = ingest(source=str(file), group_by="film", test_fraction=0.25, **options())
    films = {split: set(result.split(split)["group"]) for split in ("train", "validation", "test")}
    assert sum(map(len, films.values())) == 80 == len(set.union(*films.values()))
    assert len(films["test"]) == 20
    test = result.split("test")["label"]
    assert {len(labels) for labels in test} == {0, 1, 2}


def test_missing_cells_are_text_and_empty_lists_are_labels(ingest: Ingest, tmp_path: Path) -> None:
    cells: list[object] = [cell for _, cell in rows(40)]
    cells += [None, "", " ", [""], [], "a", ["a", "a", " a "], ["plot"], ["a", "plot"]]
    source = write(tmp_path / "source.jsonl", cells)
    result = ingest(source=source, labels=["b", "a"], unlabelled_labels=["plot"], **options())
    found = labels_of(result)
    assert [found[str(row)] for row in range(41, 49)] == [
        *(None, None, None, None),
        *([], ["a"], ["a"], None),
    ]
    assert result.reasons == {"source.jsonl:49": "label 'plot' is not among ingest.labels"}
    assert result.labels == ("b", "a")
    test = write(tmp_path / "test.jsonl", [["a"], None, ["plot"], []])
    given = ingest(
        "given",
        source=source,
        test=test,
        labels=["b", "a"],
        unlabelled_labels=["plot"],
        **options(),
    )
    assert {row: why for row, why in given.reasons.items() if row.startswith("test")} == {
        "test.jsonl:2": "no label",
        "test.jsonl:3": "no label",
    }


def test_spellings_of_labels(ingest: Ingest, tmp_path: Path) -> None:
    cells: list[object] = [[1, 2.0], ["1", True], [1.0, "true"], ["2"], [" 2 "], ["1.10", 1.1]]
    result = ingest(source=write(tmp_path / "s.jsonl", cells * 6, 36), **options())
    assert result.labels == ("1", "1.1", "1.10", "2", "true")
    assert [labels_of(result)[str(row)] for row in range(1, 7)] == [
        *(["1", "2"], ["1", "true"], ["1", "true"]),
        *(["2"], ["2"], ["1.1", "1.10"]),
    ]


@pytest.mark.parametrize("value", ["2", "yes", "", "0.5", "x"])
def test_a_column_of_a_label_has_0_or_1(ingest: Ingest, tmp_path: Path, value: str) -> None:
    good = {"0": False, "1": True, "1.0": True, "0.0": False, "true": True, "FALSE": False}
    cells = [*good, *good, *good]
    table = {"text": [f"text {n}" for n in range(18)], "a": cells, "b": cells[::-1]}
    frame = pd.DataFrame(table)
    frame.to_csv(tmp_path / "source.csv", index=False)
    wanted = options(label_columns=["a", "b"])
    result = ingest(source=str(tmp_path / "source.csv"), **wanted)
    found = labels_of(result)
    for row, (a, b) in enumerate(zip(cells, cells[::-1], strict=True), start=1):
        assert found[str(row)] == [one for one, cell in (("a", a), ("b", b)) if good[cell]]
    frame.loc[7, "b"] = value
    frame.to_csv(tmp_path / "source.csv", index=False)
    shown = f"'{value}'" if value else "nothing"
    with raises("label-unreadable", "source.csv:8", "'b'", shown, "0 or 1"):
        ingest("bad", source=str(tmp_path / "source.csv"), **wanted)
    assert not (tmp_path / "bad" / "corpus").exists(), "nothing half written"


def test_mistakes(ingest: Ingest, tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.csv", ["a", "b"] * 20)
    with raises("separator-unused", "';'", "plain.csv:1", "'a'"):
        ingest(source=plain, **options(separator=";"))
    with raises("column-unknown", "plain.csv", "'joy'", "label_columns"):
        ingest(source=plain, **options(label_columns=["joy", "label"]))
    written = write(tmp_path / "written.csv", ["['a', 'b']", "['a']"] * 20)
    for separator in (None, ","):
        with raises("label-unreadable", "written.csv:1", "['a'", "list written as text"):
            ingest(source=written, **options(separator=separator))
    nested = write(tmp_path / "nested.jsonl", [["a"], ["a", ["b"]]] * 20)
    with raises("cell-not-text", "nested.jsonl", "line 2", '["a",["b"]]', "list of texts"):
        ingest(source=nested, **options())
    nan = write(tmp_path / "nan.jsonl", [["a"], ["NaN", float("nan")]] * 20)
    with raises("cell-not-text", "nan.jsonl", "line 2", "NaN"):
        ingest(source=nan, **options())
    null = write(tmp_path / "null.parquet", [["a"], ["a", None]] * 20)
    with raises("cell-not-text", "null.parquet", "row 2", "list of texts"):
        ingest(source=null, **options())
    lists = write(tmp_path / "lists.parquet", [["a"], ["a", "b"]] * 20)
    with raises("column-not-text", "lists.parquet", "separator"):
        ingest(source=lists, **options(separator=","))
    with raises("class-single", "a"):
        ingest(source=write(tmp_path / "one.csv", ["a"] * 40), **options())
    with raises("parameter-conflict", "label_columns", "labels"):
        ingest(source=plain, labels=["a", "b"], **options(label_columns=["a", "b"]))
    with raises("parameter-value", "accuracy", "micro_f1"):
        ingest(source=plain, metric="accuracy", **options())
    with raises("class-empty", "'c'", "ingest.labels"):
        ingest(source=lists, labels=["a", "b", "c"], **options())
    unseen = write(tmp_path / "unseen.jsonl", [["a"], ["a", "z"]])
    with raises("label-untrained", "unseen.jsonl:2", "'z'"):
        ingest(source=lists, test=unseen, **options())


def test_contradictory_duplicates_are_said(ingest: Ingest, tmp_path: Path) -> None:
    frame = pd.DataFrame(rows(30), columns=["text", "label"])
    more = [("TEXT number 0", ["a"]), ("text number 1", ["b", "a"]), ("text number 2", [])]
    frame = pd.concat([frame, pd.DataFrame(more, columns=["text", "label"])])
    frame.to_parquet(tmp_path / "source.parquet")
    result = ingest(source=str(tmp_path / "source.parquet"), **options())
    assert result.reasons == {
        "source.parquet:31": "duplicate of source.parquet:1",
        "source.parquet:32": "duplicate of source.parquet:2, whose label is 'a', not 'a, b'",
        "source.parquet:33": "duplicate of source.parquet:3, whose label is 'a', not 'no label'",
    }


def test_rare_labels(ingest: Ingest, tmp_path: Path) -> None:
    cells: list[object] = [cell for _, cell in rows(60)]
    cells[0], cells[10] = ["a", "rare"], ["rare"]
    source = write(tmp_path / "source.jsonl", cells)
    with raises("classes-rare", "'rare' (2)"):
        ingest(source=source, **options())
    kept = ingest("kept", source=source, rare_classes="train_only", **options())
    assert {"source.jsonl:1", "source.jsonl:11"} <= set(kept.ids("train"))
    assert kept.labels == ("a", "b", "rare")
    dropped = ingest("dropped", source=source, rare_classes="drop", **options())
    assert dropped.labels == ("a", "b") and not dropped.reasons
    found = labels_of(dropped)
    assert (found["1"], found["11"]) == (["a"], [])


def test_label_budget(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "source.jsonl", [cell for _, cell in rows(500)])
    result = ingest(source=source, label_budget=50, **options())
    train = result.split("train")["label"]
    assert len(train) == 50
    assert sum("a" in row for row in train) == pytest.approx(30, abs=3)
    assert result.metrics["labels_withheld"] == len(result.ids("unlabelled"))
    few = ingest("few", source=source, label_budget=3, **options()).split("train")["label"]
    assert len(few) == 3 and {one for row in few for one in row} == {"a", "b"}
    per_class = ingest(
        "per", source=source, label_budget=40, label_budget_per_class=True, **options()
    )
    train = per_class.split("train")["label"]
    counts = [sum(label in row for row in train) for label in "ab"]
    assert min(counts) == 40 and len(train) < 80, "rows with both count for both"
    with raises("label-budget", "10000"):
        ingest("many", source=source, label_budget=10_000, **options())
    with raises("label-budget", "at least"):
        ingest("one", source=source, label_budget=1, **options())


def test_more_rows_than_are_drawn_at_once(
    ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.ingest.strata.MOST_CELLS_AT_ONCE", 10)
    source = write(tmp_path / "source.jsonl", [cell for _, cell in rows(400)])
    result = ingest(source=source, test_fraction=0.25, label_budget=30, **options())
    test = result.split("test")["label"]
    assert len(test) == 100
    assert sum("a" in row for row in test) == pytest.approx(60, abs=6)
    assert len(result.ids("train")) == 30


def test_tokens_of_several_labels(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "source.jsonl", [*(cell for _, cell in rows(60)), None])
    result = ingest(source=source, **options())
    section = read_params_file(PROJECT / "params.yaml")["tokenize"]
    ports = {"corpus": result.corpus, "encoder": result.encoder, "tokens": tmp_path / "tokens"}
    run_step("tokenize", section, ports)
    train = TokenRows.open(ports["tokens"], "train")
    expected = [[float(one in row) for one in "ab"] for row in result.split("train")["label"]]
    np.testing.assert_array_equal(train.labels, np.array(expected, dtype=np.float32))
    unlabelled = TokenRows.open(ports["tokens"], "unlabelled")
    assert unlabelled.labels.shape == (1, 2) and np.isnan(unlabelled.labels).all()
