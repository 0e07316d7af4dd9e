"""The control from the library Model2Vec: static embeddings and a linear model per target.

The pretrained encoder is distilled by the library itself (each token alone through the encoder,
PCA, SIF weights by Zipf's law); a text is the normalised mean of its tokens' vectors.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.study_plan import Model2Vec
from components.evaluate.labelled_rows import read_labelled
from decant.runtime.cache_folder import is_intact, write_once
from decant.runtime.errors import UserError
from decant.runtime.identity import file_digest, text_digest
from decant.tasks.answers import values
from decant.tasks.control import fit_linear
from decant.tasks.quality import Values
from decant.tasks.task import Task

if TYPE_CHECKING:
    from model2vec import StaticModel


@dataclass(frozen=True, kw_only=True)
class StaticModels:
    """The library's model with a linear layer on its embeddings for the logits of all targets.

    Attributes:
        fitted: by target, what decant.tasks.control fitted, with its C and its decisions.
        weights, bias: (dimensions, outputs) and (outputs,), the targets side by side.
    """

    model: "StaticModel"
    fitted: Mapping[str, Any]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    size_bytes: int

    @property
    def task(self) -> Task:
        """With what was decided on validation rows."""
        return Task(tuple(one.target for one in self.fitted.values()))

    def values(self, texts: Sequence[str]) -> dict[str, Values]:
        """Per target (texts, W), with the library's own encoding."""
        return dict(values(self.task, self._logits(_embedded(self.model, texts))))

    def encode(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Token ids (1, length) of one text, without unknown tokens."""
        return np.array(self.model.tokenize(list(texts)), dtype=np.int64)

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits (1, outputs) of token ids (1, length): the library's work after tokenization."""
        if ids.shape[1] == 0:
            mean = np.zeros((1, self.model.dim), dtype=np.float32)
        else:
            mean = self.model.embedding[ids].mean(axis=1).astype(np.float32)
        return self._logits(mean / (np.linalg.norm(mean, axis=1, keepdims=True) + 1e-32))

    def _logits(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(embeddings @ self.weights + self.bias)


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
    task: Task,
    *,
    settings: Model2Vec,
    c_grid: Sequence[float],
    seed: int,
    cache: Path,
) -> StaticModels:
    """Of equally good values of C the smallest wins."""
    model, folder = _distilled(encoder, settings, cache)
    train, validation = (read_labelled(corpus, split, task) for split in ("train", "validation"))
    fitted = fit_linear(
        task,
        (_embedded(model, train.texts), train.labels),
        (_embedded(model, validation.texts), validation.labels),
        c_grid=c_grid,
        seed=seed,
    )
    layers = [one.linear for one in fitted.values()]
    weights = np.concatenate([own for own, _ in layers], axis=1).astype(np.float32)
    bias = np.concatenate([own for _, own in layers]).astype(np.float32)
    files = [folder / name for name in ("model.safetensors", "tokenizer.json")]
    return StaticModels(
        model=model,
        fitted=fitted,
        weights=weights,
        bias=bias,
        size_bytes=sum(file.stat().st_size for file in files) + weights.nbytes + bias.nbytes,
    )


def _embedded(model: "StaticModel", texts: Sequence[str]) -> NDArray[np.float32]:
    """(texts, dimensions)."""
    return np.asarray(model.encode(list(texts), use_multiprocessing=False), dtype=np.float32)


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
