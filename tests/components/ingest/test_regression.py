"""Numbers as labels; counted by hand."""

import json
import math
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


def options(**changes: object) -> dict[str, object]:
    kinds = read_params_file(PROJECT / "params.yaml")["ingest"]["kinds"]
    kinds["regression"] |= changes
    return {"task": "regression", "kinds": kinds}


def write(file: Path, cells: list[object], groups: int | None = None) -> str:
    table = {"text": [f"text number {n}" for n in range(len(cells))], "label": cells}
    if groups:
        table["film"] = [f"film {n % groups}" for n in range(len(cells))]
    if file.suffix == ".csv":
        pd.DataFrame(table).to_csv(file, index=False)
    elif file.suffix == ".parquet":
        pd.DataFrame(table).to_parquet(file)
    else:
        rows = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
        file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


def numbers_of(result: Result) -> dict[str, float]:
    found: dict[str, float] = {}
    for split in ("train", "validation", "test"):
        frame = result.split(split)
        found |= dict(zip(frame["row_id"], frame["label"], strict=True))
    return {row.rpartition(":")[2]: number for row, number in found.items()}


@pytest.mark.parametrize("name", ["s.csv", "s.jsonl", "s.parquet"])
def test_numbers_of_every_format(ingest: Ingest, tmp_path: Path, name: str) -> None:
    cells: list[object] = [1.5, 2.0, 3.0, -4.25, 1e-3] * 8
    result = ingest(source=write(tmp_path / name, cells), **options())
    assert numbers_of(result) == {str(row): cell for row, cell in enumerate(cells, start=1)}
    (target,) = read_schema(result.corpus).task.targets
    assert (target.kind, target.name, target.outputs) == ("regression", "label", ("label",))
    assert target.metric == "pearson"
    train = list(result.split("train")["label"])
    center = math.fsum(train) / len(train)
    scale = math.sqrt(math.fsum((one - center) ** 2 for one in train) / len(train))
    assert dict(target.facts) == {
        **{"center": center, "scale": scale},
        **{"minimum": None, "maximum": None, "ordinal": False},
    }


def test_spellings_of_numbers(ingest: Ingest, tmp_path: Path) -> None:
    cells = ["4", " 4.0 ", "+4", ".5", "5.", "1e2", "-0", "", " ", "n/a", *map(str, range(20))]
    source = write(tmp_path / "s.csv", cells)
    result = ingest(source=source, unlabelled_labels=["n/a"], **options())
    found = numbers_of(result)
    assert [found[str(row)] for row in range(1, 8)] == [4, 4, 4, 0.5, 5, 100, 0]
    assert result.ids("unlabelled") == ["s.csv:8", "s.csv:9", "s.csv:10"]


@pytest.mark.parametrize(
    "cell",
    ["4,5", "4.0 stars", "five", "true", "NaN", "nan", "inf", "-Infinity", "1e400", "1e31", "0x10"],
)
def test_what_is_not_a_number(ingest: Ingest, tmp_path: Path, cell: str) -> None:
    cells = [*map(str, range(30)), cell, cell]
    with raises("label-unreadable", "s.csv:31", "'label'", f"'{cell}'", "number", "2 rows"):
        ingest("bad", source=write(tmp_path / "s.csv", cells), **options())
    assert not (tmp_path / "bad" / "corpus").exists(), "nothing half written"


def test_cells_of_json_that_are_no_numbers(ingest: Ingest, tmp_path: Path) -> None:
    good: list[object] = [*range(20), None, math.nan]
    result = ingest(source=write(tmp_path / "s.jsonl", good), **options())
    assert result.ids("unlabelled") == ["s.jsonl:21", "s.jsonl:22"], "missing in every format"
    with raises("label-unreadable", "s.jsonl:23", "'true'"):
        ingest(source=write(tmp_path / "s.jsonl", [*good, True]), **options())
    with raises("cell-not-text", "line 23", "[4.5]"):
        ingest(source=write(tmp_path / "s.jsonl", [*good, [4.5]]), **options())


def test_bounds(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "s.csv", [1, 2, 3, 4, 5] * 8)
    result = ingest(source=source, **options(minimum=1.0, maximum=5.0, ordinal=True))
    facts = read_schema(result.corpus).task.targets[0].facts
    assert (facts["minimum"], facts["maximum"], facts["ordinal"]) == (1, 5, True)
    with raises("label-unreadable", "s.csv:1", "'1'", "below", "minimum, 2", "8 rows"):
        ingest(source=source, **options(minimum=2.0))
    with raises("label-unreadable", "s.csv:5", "'5'", "above", "maximum, 4.5"):
        ingest(source=source, **options(maximum=4.5))
    with raises("parameter-value", "minimum", "maximum"):
        ingest(source=source, **options(minimum=5.0, maximum=1.0))
    half = write(tmp_path / "half.csv", [1, 2.5, 3] * 8)
    with raises("label-unreadable", "half.csv:2", "'2.5'", "whole"):
        ingest(source=half, **options(ordinal=True))


def test_mistakes(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "s.csv", [1, 2, 3, 4, 5] * 8)
    with raises("class-single", "'label'", "4"):
        ingest(source=write(tmp_path / "equal.csv", [4] * 40), **options())
    with raises("rows-unusable", "ingest.label_column"):
        ingest(source=write(tmp_path / "none.csv", [""] * 40), **options())
    with raises("parameter-conflict", "ingest.labels"):
        ingest(source=source, labels=["1", "2"], **options())
    with raises("parameter-value", "'micro_f1'", "pearson"):
        ingest(source=source, metric="micro_f1", **options())
    with raises("parameter-conflict", "quadratic_kappa", "ordinal"):
        ingest(source=source, metric="quadratic_kappa", **options())
    with raises("parameter-conflict", "label_budget_per_class"):
        ingest(source=source, label_budget=5, label_budget_per_class=True, **options())
    with raises("task-unknown", "'ratings'", "regression"):
        ingest(source=source, **options() | {"task": "ratings"})
    with raises("parameter-unknown", "ingest.kinds.regression", "lowest"):
        ingest(source=source, **options(lowest=1))


def test_splits_keep_the_tenths(ingest: Ingest, tmp_path: Path) -> None:
    cells = list(np.random.default_rng(1).permutation(1000) / 100)
    source = write(tmp_path / "s.csv", cells)
    result = ingest(source=source, test_fraction=0.2, validation_fraction=0.25, **options())
    for split, of_each in (("test", 20), ("validation", 20), ("train", 60)):
        tenths = np.floor(result.split(split)["label"].to_numpy() + 1e-9).astype(int)
        counts = np.bincount(tenths, minlength=10)
        assert np.abs(counts - of_each).max() <= 2, counts
    again = ingest("again", source=source, test_fraction=0.2, validation_fraction=0.25, **options())
    assert content_digest(result.corpus) == content_digest(again.corpus)
    budget = ingest("budget", source=source, label_budget=100, **options()).split("train")["label"]
    assert len(budget) == 100
    assert np.abs(np.bincount(np.floor(budget + 1e-9).astype(int)) - 10).max() <= 1
    few = ingest("few", source=source, label_budget=3, **options())
    assert len(few.ids("train")) == 3


def test_groups_stay_whole(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "s.csv", [n % 7 + 0.5 for n in range(300)], groups=60)
    result = ingest(source=source, group_by="film", test_fraction=0.2, **options())
    films = {split: set(result.split(split)["group"]) for split in ("train", "validation", "test")}
    assert sum(map(len, films.values())) == 60 == len(set.union(*films.values()))
    assert len(films["test"]) == 12


def test_duplicates_with_other_numbers(ingest: Ingest, tmp_path: Path) -> None:
    frame = pd.read_csv(write(tmp_path / "s.csv", [n / 2 for n in range(40)]))
    more = [("TEXT number 2", 1.0), ("text number 3", 2.25)]
    frame = pd.concat([frame, pd.DataFrame(more, columns=["text", "label"])])
    frame.to_csv(tmp_path / "s.csv", index=False)
    assert ingest(source=str(tmp_path / "s.csv"), **options()).reasons == {
        "s.csv:41": "duplicate of s.csv:3",
        "s.csv:42": "duplicate of s.csv:4, whose label is '1.5', not '2.25'",
    }


def test_near_duplicates_with_a_close_number(ingest: Ingest, tmp_path: Path) -> None:
    words = "a long enough review of a film which nobody else has seen in this town"
    source = [(f"{words} yet", 3.1), (f"{words} ever", 9.0)]
    source += [(f"{chr(97 + n) * 30} something else", float(n % 10)) for n in range(24)]
    pd.DataFrame(source, columns=["text", "label"]).to_csv(tmp_path / "s.csv", index=False)
    test = tmp_path / "t.csv"
    pd.DataFrame([(words, 3.0), ("other", 5.0)], columns=["text", "label"]).to_csv(
        test, index=False
    )
    result = ingest(source=str(tmp_path / "s.csv"), test=str(test), **options())
    assert list(result.reasons) == ["s.csv:1"], "the other has another number: one word may decide"
    assert "nearly the text of t.csv:1" in result.reasons["s.csv:1"]


def test_a_number_in_its_text(
    ingest: Ingest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.DataFrame({"label": [n % 9 + 0.5 for n in range(90)]})
    frame["text"] = [
        f"item {chr(97 + n % 26)}{n // 26}x rated {v}" for n, v in enumerate(frame["label"])
    ]
    frame.to_csv(tmp_path / "s.csv", index=False)
    result = ingest(source=str(tmp_path / "s.csv"), near_duplicates="ignore", **options())
    assert result.metrics["label_in_text_share"] == 1
    assert "contain their own label" in " ".join(capsys.readouterr().out.split())


def test_tokens_of_numbers(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "s.csv", [*range(40), ""])
    result = ingest(source=source, **options())
    facts = read_schema(result.corpus).task.targets[0].facts
    section = read_params_file(PROJECT / "params.yaml")["tokenize"]
    ports = {"corpus": result.corpus, "encoder": result.encoder, "tokens": tmp_path / "tokens"}
    run_step("tokenize", section, ports)
    train = TokenRows.open(ports["tokens"], "train")
    expected = (result.split("train")["label"] - facts["center"]) / facts["scale"]
    np.testing.assert_allclose(train.labels[:, 0], expected, rtol=1e-6)
    assert train.labels.mean() == pytest.approx(0, abs=1e-6)
    assert train.labels.std() == pytest.approx(1, abs=1e-6)
    unlabelled = TokenRows.open(ports["tokens"], "unlabelled")
    assert unlabelled.labels.shape == (1, 1) and np.isnan(unlabelled.labels).all()
