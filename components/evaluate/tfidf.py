"""The control without a network: TF-IDF and logistic regression on the same labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from components.evaluate.ngrams import ngrams, unspaced_share
from components.evaluate.tested_models import class_indices
from decant.data.corpus import read_split
from decant.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TfidfControl:
    """TF-IDF of `ngrams` with sublinear term frequency, logistic regression.

    Attributes:
        c: inverse regularisation strength, the best of the grid on the validation split.
        validation_accuracy: its accuracy there.
        features: n-grams of the training texts.
        unspaced_share: of the training texts' letters, those of scripts without blanks, 0 to 1.
    """

    pipeline: Pipeline
    classes: int
    c: float
    validation_accuracy: float
    features: int
    unspaced_share: float

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities (texts, classes); 0 for a class that has no training row."""
        result = np.zeros((len(texts), self.classes), dtype=np.float32)
        result[:, self.pipeline.classes_] = self.pipeline.predict_proba(texts)
        return result


def fit_tfidf(
    corpus: Path, labels: tuple[str, ...], *, c_grid: Sequence[float], seed: int
) -> TfidfControl:
    """Fit on the labelled training split alone, choosing C by validation accuracy.

    Of equally good values the smallest wins. Raises UserError for a training split of one class
    and for an empty validation split.
    """
    train, validation = (_checked(corpus, split, labels) for split in ("train", "validation"))
    if train["label"].nunique() < 2:
        raise UserError(
            f"{corpus / 'train.parquet'} has rows of {train['label'].nunique()} label(s); "
            "a classifier needs at least 2",
            code="class-single",
            hint="raise the label budget, or set it per class",
        )
    vectorizer = TfidfVectorizer(analyzer=ngrams, sublinear_tf=True)
    features = vectorizer.fit_transform(train["text"])
    held_out = vectorizer.transform(validation["text"])
    target = class_indices(train["label"], labels)
    expected = class_indices(validation["label"], labels)
    best: tuple[float, float, LogisticRegression] | None = None
    for c in sorted(c_grid):
        classifier = LogisticRegression(C=c, max_iter=1000, random_state=seed)
        classifier.fit(features, target)
        accuracy = float((classifier.predict(held_out) == expected).mean())
        if best is None or accuracy > best[0]:
            best = (accuracy, c, classifier)
    assert best is not None  # the grid has at least one value
    return TfidfControl(
        pipeline=make_pipeline(vectorizer, best[2]),
        classes=len(labels),
        c=best[1],
        validation_accuracy=best[0],
        features=features.shape[1],
        unspaced_share=unspaced_share(train["text"]),
    )


def _checked(corpus: Path, split: str, labels: tuple[str, ...]) -> pd.DataFrame:
    rows = read_split(corpus, split)
    file = corpus / f"{split}.parquet"
    if rows.empty:
        raise UserError(
            f"{file} has no rows",
            code="split-empty",
            hint=f"give ingest a {split} share above 0, or such a file",
        )
    if unknown := sorted(set(rows["label"]) - set(labels)):
        raise UserError(
            f"{file} has the label '{unknown[0]}', which no model has",
            code="labels-mismatch",
            hint="run the steps from finetune on again: models and corpus come from different data",
        )
    return rows
