"""The control from the library Model2Vec: static embeddings and logistic regression.

The pretrained encoder is distilled by the library itself (each token alone through the encoder,
PCA, SIF weights by Zipf's law); a text is the normalised mean of its tokens' vectors.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.study.study_plan import Model2Vec
from components.evaluate.tested_models import class_indices
from decant.data.corpus import read_split
from decant.runtime.cache_folder import is_intact, write_once
from decant.runtime.errors import UserError
from decant.runtime.identity import file_digest, text_digest

if TYPE_CHECKING:
    from model2vec import StaticModel


@dataclass(frozen=True, kw_only=True)
class StaticClassifier:
    """The library's model with a linear layer on its embeddings.

    Attributes:
        weights, bias: (dimensions, classes) and (classes,).
        c: inverse regularisation strength, the best of the grid on validation.
    """

    model: "StaticModel"
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    c: float
    size_bytes: int

    def predict(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Class indices (texts,), with the library's own encoding."""
        return self._classify(self.model.encode(list(texts), use_multiprocessing=False))

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Token ids (1, length) of one text, without unknown tokens."""
        return np.array(self.model.tokenize(list(texts)), dtype=np.int64)

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Class index (1,) of token ids (1, length): the library's work after tokenization."""
        if ids.shape[1] == 0:
            mean = np.zeros((1, self.model.dim), dtype=np.float32)
        else:
            mean = self.model.embedding[ids].mean(axis=1).astype(np.float32)
        return self._classify(mean / (np.linalg.norm(mean, axis=1, keepdims=True) + 1e-32))

    def _classify(self, embeddings: NDArray[Any]) -> NDArray[np.int64]:
        logits = embeddings.astype(np.float32) @ self.weights + self.bias
        return np.asarray(logits.argmax(axis=1))


def require_model2vec() -> None:
    """Raises UserError where the development dependency is not installed."""
    if not all(map(importlib.util.find_spec, ("model2vec", "skeletoken"))):
        raise UserError(
            "the study's control Model2Vec needs the package model2vec",
            code="package-missing",
            hint="pip install -r requirements-dev.lock, or set `model2vec: null` in the study",
        )


def fit_model2vec(
    corpus: Path,
    encoder: Path,
    labels: tuple[str, ...],
    *,
    settings: Model2Vec,
    c_grid: Sequence[float],
    cache: Path,
) -> StaticClassifier:
    """Of equally good values of C the smallest wins."""
    model, folder = _distilled(encoder, settings, cache)
    splits = {name: read_split(corpus, name) for name in ("train", "validation")}
    embeddings = {
        name: model.encode(rows["text"].tolist(), use_multiprocessing=False).astype(np.float32)
        for name, rows in splits.items()
    }
    targets = {name: class_indices(rows["label"], labels) for name, rows in splits.items()}
    best: tuple[float, float, LogisticRegression] | None = None
    for c in sorted(c_grid):
        classifier = LogisticRegression(C=c, max_iter=2000)
        classifier.fit(embeddings["train"], targets["train"])
        predicted = classifier.predict(embeddings["validation"])
        accuracy = float((predicted == targets["validation"]).mean())
        if best is None or accuracy > best[0]:
            best = (accuracy, c, classifier)
    assert best is not None  # the grid has at least one value
    weights, bias = _all_classes(best[2], len(labels))
    files = [folder / name for name in ("model.safetensors", "tokenizer.json")]
    return StaticClassifier(
        model=model,
        weights=weights,
        bias=bias,
        c=best[1],
        size_bytes=sum(file.stat().st_size for file in files) + weights.nbytes + bias.nbytes,
    )


def _all_classes(
    classifier: LogisticRegression, classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and bias with a column per class; two classes share one row in scikit-learn."""
    rows, offsets = classifier.coef_, classifier.intercept_
    if len(classifier.classes_) == 2:
        rows, offsets = np.concatenate([-rows, rows]) / 2, np.concatenate([-offsets, offsets]) / 2
    weights = np.zeros((rows.shape[1], classes), dtype=np.float32)
    bias = np.full(classes, -np.inf, dtype=np.float32)  # a class without a training row
    weights[:, classifier.classes_], bias[classifier.classes_] = rows.T, offsets
    return weights, bias


def _distilled(encoder: Path, settings: Model2Vec, cache: Path) -> tuple["StaticModel", Path]:
    """From the cache, where the same encoder was distilled before."""
    from model2vec import StaticModel
    from model2vec.distill import distill

    weights = sorted(encoder.glob("*.safetensors"))
    files = (encoder / "config.json", encoder / "tokenizer.json", *weights)
    digests = [file_digest(file) for file in files]
    folder = cache / text_digest(f"{digests} {settings} {version('model2vec')}")[:24]
    if not is_intact(folder):
        model = distill(
            str(encoder),
            device="cpu",
            pca_dims=settings.dimensions,
            sif_coefficient=settings.sif_coefficient,
        )
        write_once(folder, model.save_pretrained)
    return StaticModel.from_pretrained(folder, force_download=False), folder
