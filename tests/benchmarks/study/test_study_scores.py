"""Exported models on rows whose labels another run may have scaled differently."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from benchmarks.study.scores import ExportedModels, Rows
from decant.data.corpus import Schema, write_schema
from decant.inference.classifier import OnnxClassifier
from decant.tasks.task import Task
from tests.errors import raises
from tests.tiny import corpus_rows
from tests.word_models import OF_STARS, STARS, seal, write_word_model

TEXTS = [row["text"] for row in corpus_rows(60)]
LABELS = [float(number % 5 + 1) if number % 7 else None for number in range(60)]


def corpus(folder: Path, task: Task, labels: list[float | None] = LABELS) -> Path:
    folder.mkdir()
    rows = pa.table({"row_id": [str(i) for i in range(60)], "text": TEXTS, "label": labels})
    for split, start, end in (("train", 0, 20), ("validation", 20, 40), ("test", 40, 60)):
        pq.write_table(rows.slice(start, end - start), folder / f"{split}.parquet")
    write_schema(folder, Schema(task=task, text_column="text"))
    return folder


def stars(facts: Mapping[str, Any], **changes: Any) -> Task:
    return Task((dataclasses.replace(STARS, facts={**STARS.facts, **facts}, **changes),))


def exported(folder: Path, task: Task) -> Path:
    """A model of the task; its manifest lists its files as export_onnx does."""
    return seal(write_word_model(folder, OF_STARS, task.targets))


def test_rows_are_the_same_where_only_the_scale_of_the_training_labels_differs(
    tmp_path: Path,
) -> None:
    """A model is judged in the unit of the data, by the metric of the default."""
    default = Rows(corpus(tmp_path / "default", stars({})))
    own = stars({"center": 2.0, "scale": 1.0})
    other = Rows(corpus(tmp_path / "other", own))
    assert other.digest == default.digest
    folder = exported(tmp_path / "model", own)
    judge = stars({}, metric="spearman")
    cache = tmp_path / "logits"
    found, file = ExportedModels(other, judge, 8, cache).scored(folder, None)
    truth = np.array(LABELS[40:], dtype=float)
    answers = OnnxClassifier(folder).predict(TEXTS[40:], batch_size=8)
    given = np.array([answer.value for answer in answers])
    known = ~np.isnan(truth)
    expected = spearmanr(given[known], truth[known])[0]
    assert found["test"].score == pytest.approx(expected)
    assert found["test"].rows == 20
    with np.load(file) as saved:
        assert saved["test"].shape == saved["validation"].shape == (20, 1)
    with raises("labels-mismatch"):  # a model of the other scale's run
        ExportedModels(default, judge, 8, cache).scored(folder, None)


def test_other_labels_are_other_rows(tmp_path: Path) -> None:
    first = Rows(corpus(tmp_path / "a", stars({})))
    changed = [*LABELS[:-1], 1.5]
    assert Rows(corpus(tmp_path / "b", stars({}), changed)).digest != first.digest


def test_a_graph_answers_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(corpus(tmp_path / "a", stars({})))
    folder = exported(tmp_path / "model", stars({}))
    models = ExportedModels(rows, rows.task, 8, tmp_path / "logits")
    first, _ = models.scored(folder, None)
    monkeypatch.setattr("benchmarks.study.scores.OnnxClassifier", None)
    again, _ = models.scored(folder, None)
    assert again["test"].score == first["test"].score
