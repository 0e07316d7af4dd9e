"""Model2Vec from the real library, TF-IDF and the constant answer on the tiny corpus."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.study.controls import Control, fit_controls
from benchmarks.study.model2vec_control import StaticModels, fit_model2vec, require_model2vec
from benchmarks.study.study_plan import Model2Vec
from components.evaluate.labelled_rows import read_labelled
from decant.data.corpus import Schema, write_schema
from decant.tasks.quality import Values, measure
from decant.tasks.task import Target, Task
from tests.errors import raises
from tests.tiny import corpus_rows

LABELS = ("negative", "neutral", "positive")  # no row is neutral
TASK = Task.of_classes(LABELS)
SETTINGS = Model2Vec(dimensions=8, sif_coefficient=0.0001)
GRID = [0.1, 10.0, 1000.0]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rows = pd.DataFrame(corpus_rows(300)).assign(row_id=[str(i) for i in range(300)])
    for split, part in {
        "train": rows[:161],
        "validation": rows[161:230],
        "test": rows[230:],
    }.items():
        part.to_parquet(folder / f"{split}.parquet", index=False)
    write_schema(folder, Schema(task=TASK, text_column="text"))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model2vec")


@pytest.fixture(scope="module")
def static(corpus: Path, tiny_encoder: Path, cache: Path) -> StaticModels:
    return fit_model2vec(
        corpus, tiny_encoder, TASK, settings=SETTINGS, c_grid=GRID, seed=1, cache=cache
    )


def classes(values: Mapping[str, Values]) -> np.ndarray:
    """The most probable class of each row."""
    return values["label"].argmax(axis=1)


def split(corpus: Path, name: str) -> tuple[list[str], np.ndarray]:
    rows = pd.read_parquet(corpus / f"{name}.parquet")
    return rows["text"].tolist(), np.array([LABELS.index(label) for label in rows["label"]])


def test_the_classifier_is_logistic_regression_on_the_librarys_embeddings(
    static: StaticModels, corpus: Path
) -> None:
    embedded = {name: static.model.encode(split(corpus, name)[0]) for name in ("train", "test")}
    reference = LogisticRegression(C=static.fitted["label"].c, max_iter=2000)
    reference.fit(embedded["train"].astype(np.float32), split(corpus, "train")[1])
    texts, actual = split(corpus, "test")
    answers = classes(static.values(texts))
    np.testing.assert_array_equal(answers, reference.predict(embedded["test"]))
    assert (answers == actual).mean() > 0.6
    assert not static.values(texts)["label"][:, LABELS.index("neutral")].any()


def test_c_is_the_best_on_validation(static: StaticModels, corpus: Path) -> None:
    texts, actual = split(corpus, "validation")
    train, target = split(corpus, "train")
    embedded = static.model.encode(train).astype(np.float32)
    held_out = static.model.encode(texts).astype(np.float32)
    reached = {
        c: LogisticRegression(C=c, max_iter=2000).fit(embedded, target).score(held_out, actual)
        for c in GRID
    }
    assert static.fitted["label"].c == max(GRID, key=lambda c: (reached[c], -c))


def test_the_timed_half_after_tokenization_answers_as_the_whole(
    static: StaticModels, corpus: Path
) -> None:
    texts = [*split(corpus, "test")[0], "", "🙂"]
    halves = [int(static.run(static.encode([text])).argmax()) for text in texts]
    assert halves == classes(static.values(texts)).tolist()


def test_the_encoder_is_distilled_once(
    static: StaticModels,
    corpus: Path,
    tiny_encoder: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("model2vec.distill.distill", None)
    again = fit_model2vec(
        corpus, tiny_encoder, TASK, settings=SETTINGS, c_grid=GRID, seed=1, cache=cache
    )
    np.testing.assert_array_equal(again.model.embedding, static.model.embedding)
    assert static.model.dim == 8
    assert static.size_bytes > static.model.embedding.nbytes


def test_all_controls(corpus: Path, tiny_encoder: Path, cache: Path) -> None:
    fitted = fit_controls(
        corpus, tiny_encoder, c_grid=GRID, seed=1, model2vec=SETTINGS, cache=cache
    )
    controls: dict[str, Control] = {control.name: control for control in fitted}
    assert sorted(controls) == ["majority", "model2vec", "tfidf"]
    texts, actual = split(corpus, "test")
    assert (classes(controls["tfidf"].values(texts)) == actual).mean() > 0.9
    # 161 training rows alternate between the two, and the first is negative.
    assert classes(controls["majority"].values(texts)).tolist() == [0] * len(texts)
    assert controls["majority"].architecture == "always 'negative'"
    without = fit_controls(corpus, tiny_encoder, c_grid=GRID, seed=1, model2vec=None, cache=cache)
    assert [control.name for control in without] == ["tfidf", "majority"]


def test_the_controls_of_several_targets_answer_each_by_its_kind(
    tmp_path: Path, tiny_encoder: Path, cache: Path
) -> None:
    """The one layer of Model2Vec answers as what each kind fitted on the same embeddings."""
    mood = Target(
        name="mood",
        kind="single_label",
        column="mood",
        outputs=("negative", "positive"),
        metric="macro_f1",
    )
    words = Target(
        name="words",
        kind="multi_label",
        column="words",
        outputs=("plot", "actor"),
        metric="micro_f1",
        facts={"thresholds": "per_label", "threshold": 0.5},
    )
    length = Target(
        name="length",
        kind="regression",
        column="length",
        outputs=("length",),
        metric="pearson",
        facts={"center": 7.0, "scale": 2.0, "minimum": 1.0, "maximum": None, "ordinal": False},
    )
    task = Task((mood, words, length))
    write_corpus(tmp_path, task)
    controls = {
        control.name: control
        for control in fit_controls(
            tmp_path, tiny_encoder, c_grid=GRID, seed=1, model2vec=SETTINGS, cache=cache
        )
    }
    assert sorted(controls) == ["constant", "model2vec", "tfidf"]
    test = read_labelled(tmp_path, "test", task)
    scores = {
        name: {
            target: one.score
            for target, one in measure(
                control.task, control.values(test.texts), test.labels
            ).items()
        }
        for name, control in controls.items()
    }
    for target in ("mood", "words", "length"):
        assert scores["tfidf"][target] > scores["constant"][target]
    assert scores["model2vec"]["mood"] > scores["constant"]["mood"]
    assert scores["constant"]["length"] == 0  # the correlation of a constant
    assert "ridge regression (C = " in controls["model2vec"].architecture
    assert "the mean, " in controls["constant"].architecture
    static = fit_model2vec(
        tmp_path, tiny_encoder, task, settings=SETTINGS, c_grid=GRID, seed=1, cache=cache
    )
    embedded = static.model.encode(test.texts).astype(np.float32)
    for target, own in static.values(test.texts).items():
        np.testing.assert_allclose(own, static.fitted[target].values(embedded), atol=1e-4)


def write_corpus(folder: Path, task: Task) -> None:
    rows = pd.DataFrame(corpus_rows(300))
    texts = rows["text"].str.split()
    columns = {
        "row_id": [str(index) for index in range(len(rows))],
        "text": rows["text"].tolist(),
        "label.mood": rows["label"].tolist(),
        "label.words": [[w for w in ("plot", "actor") if w in words] for words in texts],
        "label.length": [float(len(words)) if i % 5 else None for i, words in enumerate(texts)],
    }
    table = pa.table(columns)
    for split, start, end in (("train", 0, 160), ("validation", 160, 230), ("test", 230, 300)):
        pq.write_table(table.slice(start, end - start), folder / f"{split}.parquet")
    write_schema(folder, Schema(task=task, text_column="text"))


def test_a_missing_library_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    require_model2vec()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with raises("package-missing", "model2vec") as caught:
        require_model2vec()
    assert "requirements-dev.lock" in str(caught.value)
