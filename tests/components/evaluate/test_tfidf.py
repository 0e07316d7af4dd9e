"""The TF-IDF control against scikit-learn used by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from components.evaluate.tfidf import fit_tfidf
from decant.tasks.task import Task
from tests.errors import raises

TASK = Task.of_classes(("negative", "positive"))
LABELS = TASK.outputs


def test_same_answers_as_scikit_learn_by_hand(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    train = pd.read_parquet(corpus / "train.parquet")
    texts = pd.read_parquet(corpus / "test.parquet")["text"].tolist()
    control = fit_tfidf(corpus, TASK, c_grid=[3.0], seed=0)
    # The corpus has no signs and the word "a" is the only short one, so \w+ finds the same words.
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+")
    model = LogisticRegression(C=3.0, max_iter=1000)
    model.fit(vectorizer.fit_transform(train["text"]), train["label"])
    expected = model.predict_proba(vectorizer.transform(texts))
    assert control.values(texts)["label"] == pytest.approx(expected, abs=1e-4)
    assert control.features == len(vectorizer.vocabulary_)


def test_chinese_is_scikit_learn_with_characters_by_hand(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    for split in ("train", "validation", "test"):
        rows = pd.read_parquet(corpus / f"{split}.parquet")
        # A Chinese character per letter and no blanks: whole texts are what \w+ finds.
        chinese = {ord("a") + number: 0x4E00 + number for number in range(26)} | {ord(" "): None}
        rows["text"] = [text.translate(chinese) for text in rows["text"]]
        rows.to_parquet(corpus / f"{split}.parquet", index=False)
    train, test = (pd.read_parquet(corpus / f"{split}.parquet") for split in ("train", "test"))
    control = fit_tfidf(corpus, TASK, c_grid=[3.0], seed=0)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True)
    model = LogisticRegression(C=3.0, max_iter=1000)
    model.fit(vectorizer.fit_transform(train["text"]), train["label"])
    expected = model.predict_proba(vectorizer.transform(test["text"]))
    found = control.values(test["text"].tolist())["label"]
    assert found == pytest.approx(expected, abs=1e-4)
    answers = np.array(LABELS)[found.argmax(axis=1)]
    assert (answers == test["label"]).mean() > 0.9  # with words 1-2 no test text has a known term
    assert control.unspaced_share == 1.0


def test_c_is_chosen_on_the_validation_split(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    each = {c: fit_tfidf(corpus, TASK, c_grid=[c], seed=0) for c in (1e-6, 1.0, 100.0)}
    each = {c: one.fitted["label"] for c, one in each.items()}
    best = fit_tfidf(corpus, TASK, c_grid=[*each], seed=0).fitted["label"]
    assert best.validation_score == max(one.validation_score for one in each.values())
    assert best.c == min(
        c for c, one in each.items() if one.validation_score == best.validation_score
    )


def test_a_class_without_training_rows_has_probability_0(
    tmp_path: Path, make_corpus: Callable[..., Path]
) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    control = fit_tfidf(corpus, Task.of_classes(("absent", *LABELS)), c_grid=[1.0], seed=0)
    probabilities = control.values(["a good film", "?!"])["label"]
    assert probabilities.shape == (2, 3)
    assert probabilities[:, 0].tolist() == [0, 0]
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_one_label_cannot_be_learned(tmp_path: Path, make_corpus: Callable[..., Path]) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    train = pd.read_parquet(corpus / "train.parquet")
    train.assign(label="positive").to_parquet(corpus / "train.parquet", index=False)
    with raises("class-single", "'label'", "1 label"):
        fit_tfidf(corpus, TASK, c_grid=[1.0], seed=0)
