"""Model2Vec from the real library, TF-IDF and the commonest class on the tiny corpus."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks.study.controls import Control, fit_controls
from benchmarks.study.model2vec_control import StaticClassifier, fit_model2vec, require_model2vec
from benchmarks.study.study_plan import Model2Vec
from decant.data.corpus import Schema, write_schema
from decant.tasks.task import Task
from tests.conftest import corpus_rows
from tests.errors import raises

LABELS = ("negative", "neutral", "positive")  # no row is neutral
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
    write_schema(folder, Schema(task=Task.of_classes(LABELS), text_column="text"))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model2vec")


@pytest.fixture(scope="module")
def static(corpus: Path, tiny_encoder: Path, cache: Path) -> StaticClassifier:
    return fit_model2vec(corpus, tiny_encoder, LABELS, settings=SETTINGS, c_grid=GRID, cache=cache)


def split(corpus: Path, name: str) -> tuple[list[str], np.ndarray]:
    rows = pd.read_parquet(corpus / f"{name}.parquet")
    return rows["text"].tolist(), np.array([LABELS.index(label) for label in rows["label"]])


def test_the_classifier_is_logistic_regression_on_the_librarys_embeddings(
    static: StaticClassifier, corpus: Path
) -> None:
    embedded = {name: static.model.encode(split(corpus, name)[0]) for name in ("train", "test")}
    reference = LogisticRegression(C=static.c, max_iter=2000)
    reference.fit(embedded["train"].astype(np.float32), split(corpus, "train")[1])
    texts, actual = split(corpus, "test")
    np.testing.assert_array_equal(static.predict(texts), reference.predict(embedded["test"]))
    assert (static.predict(texts) == actual).mean() > 0.6


def test_c_is_the_best_on_validation(static: StaticClassifier, corpus: Path) -> None:
    texts, actual = split(corpus, "validation")
    train, target = split(corpus, "train")
    embedded = static.model.encode(train).astype(np.float32)
    held_out = static.model.encode(texts).astype(np.float32)
    reached = {
        c: LogisticRegression(C=c, max_iter=2000).fit(embedded, target).score(held_out, actual)
        for c in GRID
    }
    assert static.c == max(GRID, key=lambda c: (reached[c], -c))


def test_the_timed_half_after_tokenization_answers_as_the_whole(
    static: StaticClassifier, corpus: Path
) -> None:
    texts = [*split(corpus, "test")[0], "", "🙂"]
    halves = [int(static.run(static.encode([text]))[0]) for text in texts]
    assert halves == static.predict(texts).tolist()


def test_the_encoder_is_distilled_once(
    static: StaticClassifier,
    corpus: Path,
    tiny_encoder: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("model2vec.distill.distill", None)
    again = fit_model2vec(corpus, tiny_encoder, LABELS, settings=SETTINGS, c_grid=GRID, cache=cache)
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
    assert (controls["tfidf"].predict(texts) == actual).mean() > 0.9
    # 161 training rows alternate between the two, and the first is negative.
    assert controls["majority"].predict(texts).tolist() == [0] * len(texts)
    assert controls["majority"].architecture == "always 'negative'"
    without = fit_controls(corpus, tiny_encoder, c_grid=GRID, seed=1, model2vec=None, cache=cache)
    assert [control.name for control in without] == ["tfidf", "majority"]


def test_a_missing_library_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    require_model2vec()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with raises("package-missing", "model2vec") as caught:
        require_model2vec()
    assert "requirements-dev.lock" in str(caught.value)
