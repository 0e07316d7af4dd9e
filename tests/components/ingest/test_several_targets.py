"""Several targets in one table, with unknown cells; counted by hand."""

from pathlib import Path
from typing import Any

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

TARGETS: list[dict[str, Any]] = [
    {"name": "tone", "kind": "single_label", "weight": 2.0},
    {"name": "topics", "kind": "multi_label", "separator": ",", "metric": "macro_f1"},
    {"name": "stars", "kind": "regression", "column": "rating", "minimum": 1.0},
]


def table(count: int = 200) -> pd.DataFrame:
    """tone is unknown in every 4th row, topics in every 5th, the rating in every 2nd."""
    numbers = range(count)
    return pd.DataFrame(
        {
            "text": [f"text number {n}" for n in numbers],
            "tone": [["good", "bad"][n // 4 % 2] if n % 4 else None for n in numbers],
            "topics": [["x", "y", "x, y", ","][n % 4] if n % 5 else None for n in numbers],
            "rating": [n % 5 + 1 if n % 2 else None for n in numbers],
        }
    )


def write(file: Path, frame: pd.DataFrame) -> str:
    frame.to_csv(file, index=False)
    return str(file)


def options(targets: list[dict[str, Any]] = TARGETS, **changes: object) -> dict[str, Any]:
    return {"targets": targets, **changes}


def whole(result: Result) -> pd.DataFrame:
    parts = [result.split(split) for split in ("train", "validation", "test")]
    frame = pd.concat(parts).set_index("row_id")
    return frame.loc[sorted(frame.index, key=lambda row: int(row.rpartition(":")[2]))]


def test_columns_and_schema(ingest: Ingest, tmp_path: Path) -> None:
    frame = table()
    result = ingest(source=write(tmp_path / "s.csv", frame), **options())
    found = whole(result)
    assert list(found.columns) == ["text", "label.tone", "label.topics", "label.stars", "group"]
    # Of all of 20 rows in turn, row 1 has no label at all: n % 4 == n % 5 == n % 2 == 0.
    blank = [f"s.csv:{n + 1}" for n in range(200) if n % 20 == 0]
    assert result.ids("unlabelled") == blank and len(found) == 190
    for row, cells in found.iterrows():
        n = int(str(row).rpartition(":")[2]) - 1
        tone, topics, stars = cells["label.tone"], cells["label.topics"], cells["label.stars"]
        expected_tone = ["good", "bad"][n // 4 % 2] if n % 4 else None
        assert (tone if isinstance(tone, str) else None) == expected_tone
        expected = [["x"], ["y"], ["x", "y"], []][n % 4] if n % 5 else None
        assert (list(topics) if isinstance(topics, np.ndarray) else None) == expected
        assert np.isnan(stars) if n % 2 == 0 else stars == n % 5 + 1
    task = read_schema(result.corpus).task
    assert [(one.name, one.kind, one.metric, one.weight) for one in task.targets] == [
        ("tone", "single_label", "accuracy", 2.0),
        ("topics", "multi_label", "macro_f1", 1.0),
        ("stars", "regression", "pearson", 1.0),
    ]
    assert task.outputs == ("tone.bad", "tone.good", "topics.x", "topics.y", "stars")
    assert task.targets[2].column == "rating" and task.targets[2].facts["minimum"] == 1
    train = result.split("train")["label.stars"].dropna()
    assert task.targets[2].facts["center"] == pytest.approx(train.mean())
    again = ingest("again", source=str(tmp_path / "s.csv"), **options())
    assert content_digest(result.corpus) == content_digest(again.corpus)


def test_splits_keep_the_shares_of_all_targets(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "s.csv", table(1000))
    result = ingest(source=source, test_fraction=0.2, validation_fraction=0.25, **options())
    rows = {"train": 570, "validation": 190, "test": 190}
    for split, size in rows.items():
        frame = result.split(split)
        assert len(frame) == pytest.approx(size, rel=0.05)
        known = {"label.tone": 750, "label.topics": 800, "label.stars": 500}
        for column, count in known.items():
            expected = count * size / 950
            assert frame[column].notna().sum() == pytest.approx(expected, rel=0.06)


def test_label_budget(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "s.csv", table(400))
    result = ingest(source=source, label_budget=60, **options())
    train = result.split("train")
    assert len(train) == 60
    assert set(train["label.tone"].dropna()) == {"good", "bad"}
    assert set(train["label.stars"].dropna()) == {1, 2, 3, 4, 5}
    per = ingest("per", source=source, label_budget=20, label_budget_per_class=True, **options())
    assert per.split("train")["label.tone"].value_counts().min() >= 20


def test_groups_stay_whole(ingest: Ingest, tmp_path: Path) -> None:
    frame = table(300)
    frame["film"] = [f"film {n // 5}" for n in range(300)]
    result = ingest(source=write(tmp_path / "s.csv", frame), group_by="film", **options())
    films = [set(result.split(split)["group"]) for split in ("train", "validation", "test")]
    assert sum(map(len, films)) == len(set.union(*films)) == 60


def test_rows_that_contradict_or_lose_a_label(ingest: Ingest, tmp_path: Path) -> None:
    frame = table(100)
    more = pd.DataFrame(
        {
            "text": ["TEXT number 1", "text number 2"],
            "tone": ["bad", "good"],
            "topics": ["y", "x,z"],
            "rating": [2.0, 3.0],
        }
    )
    result = ingest(
        source=write(tmp_path / "s.csv", pd.concat([frame, more])),
        **options([TARGETS[0], TARGETS[1] | {"labels": ["x", "y"]}, TARGETS[2]]),
    )
    assert result.reasons == {
        "s.csv:101": "duplicate of s.csv:2, whose label of tone is 'good', not 'bad'",
        "s.csv:102": "label 'z' is not among ingest.targets.1.labels",
    }
    lost = pd.DataFrame({"text": ["text number 4"], "tone": ["good"], "topics": ["x"]})
    kept = ingest("lost", source=write(tmp_path / "l.csv", pd.concat([frame, lost])), **options())
    assert kept.reasons == {
        "l.csv:101": "duplicate of l.csv:5, which has no label of tone",
    }


def test_a_class_alone_in_the_list_of_targets(ingest: Ingest, tmp_path: Path) -> None:
    result = ingest(
        source=write(tmp_path / "s.csv", table()),
        **options([{"name": "mood", "kind": "single_label", "column": "tone"}]),
    )
    assert "label" in result.split("train").columns and result.labels == ("bad", "good")
    assert read_schema(result.corpus).task.targets[0].name == "mood"


def test_mistakes(ingest: Ingest, tmp_path: Path) -> None:
    source = write(tmp_path / "s.csv", table())
    tone, topics, stars = TARGETS
    with raises("parameter-value", "ingest.targets.0, ingest.targets.1", "'tone'"):
        ingest(source=source, **options([tone, topics | {"name": "tone"}]))
    with raises("parameter-value", "ingest.targets.0.metric", "'pearson'", "accuracy"):
        ingest(source=source, **options([tone | {"metric": "pearson"}, stars]))
    with raises("parameter-unknown", "ingest.targets.1.colour", "separator", "weight"):
        ingest(source=source, **options([tone, topics | {"colour": "red"}]))
    with raises("parameter-value", "ingest.targets.0.weight"):
        ingest(source=source, **options([tone | {"weight": 0}, stars]))
    with raises("parameter-value", "ingest.targets.0.name"):
        ingest(source=source, **options([tone | {"name": "to ne"}, stars]))
    with raises("parameter-missing", "ingest.targets.0.kind"):
        ingest(source=source, **options([{"name": "tone"}, stars]))
    with raises("task-unknown", "'tags'"):
        ingest(source=source, **options([tone | {"kind": "tags"}, stars]))
    with raises("parameter-conflict", "ingest.labels", "ingest.targets"):
        ingest(source=source, labels=["good", "bad"], **options())
    with raises("column-unknown", "'mood'", "ingest.targets.0.column"):
        ingest(source=source, **options([tone | {"column": "mood"}, stars]))
    frame = table().assign(tone=None)
    with raises("labels-missing", "'tone'", "empty.csv"):
        ingest(source=write(tmp_path / "empty.csv", frame), **options())
    frame = table()
    frame["rating"] = frame["rating"].astype("object")
    frame.loc[7, "rating"] = "4,5"
    with raises("label-unreadable", "text.csv:8", "'rating'", "'4,5'"):
        ingest("bad", source=write(tmp_path / "text.csv", frame), **options())
    assert not (tmp_path / "bad" / "corpus").exists(), "nothing half written"
    frame = table(40).assign(text=lambda rows: "new " + rows["text"], rating=None)
    test = write(tmp_path / "t.csv", frame)
    with raises("split-empty", "test", "'stars'"):
        ingest(source=source, test=test, **options())


def test_tokens_of_several_targets(ingest: Ingest, tmp_path: Path) -> None:
    result = ingest(source=write(tmp_path / "s.csv", table()), **options())
    section = read_params_file(PROJECT / "params.yaml")["tokenize"]
    ports = {"corpus": result.corpus, "encoder": result.encoder, "tokens": tmp_path / "tokens"}
    run_step("tokenize", section, ports)
    facts = read_schema(result.corpus).task.targets[2].facts
    for split in ("train", "validation", "test"):
        labels = TokenRows.open(ports["tokens"], split).labels
        expected = []
        for row in result.ids(split):
            n = int(row.rpartition(":")[2]) - 1
            tone = [np.nan] if n % 4 == 0 else [float(n // 4 % 2 == 0)]  # bad is 0, good 1
            topics = [[1, 0], [0, 1], [1, 1], [0, 0]][n % 4] if n % 5 else [np.nan, np.nan]
            stars = (n % 5 + 1 - facts["center"]) / facts["scale"] if n % 2 else np.nan
            expected.append([*tone, *topics, stars])
        np.testing.assert_allclose(labels, np.array(expected), rtol=1e-6)
    unlabelled = TokenRows.open(ports["tokens"], "unlabelled").labels
    assert unlabelled.shape == (10, 4) and np.isnan(unlabelled).all()
