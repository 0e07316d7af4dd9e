"""The controls that need no run of the steps: TF-IDF, Model2Vec, always the commonest class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.model2vec_control import fit_model2vec
from benchmarks.study.results import MAJORITY, MODEL2VEC, TFIDF
from benchmarks.study.study_plan import Model2Vec
from components.evaluate.tested_models import class_indices
from components.evaluate.tfidf import fit_tfidf
from decant.data.corpus import read_schema, read_split
from decant.inference.latency import Candidate
from decant.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Control:
    """Texts to class indices (texts,), and its parts that can be timed.

    Attributes:
        encode, run: as in `Candidate`; None where tokenization and model cannot be separated.
    """

    name: str
    predict: Callable[[Sequence[str]], NDArray[np.int64]]
    encode: Callable[[list[str]], NDArray[np.int64]] | None = None
    run: Callable[[NDArray[np.int64]], object] | None = None
    architecture: str
    parameters: int | None = None
    size_bytes: int | None = None

    def candidate(self, texts: int) -> Candidate[str]:
        return Candidate(predict=self.predict, encode=self.encode, run=self.run, texts=texts)


def fit_controls(
    corpus: Path,
    encoder: Path,
    *,
    c_grid: Sequence[float],
    seed: int,
    model2vec: Model2Vec | None,
    cache: Path,
) -> list[Control]:
    """All on the labelled training split, with C chosen on validation. None draws anything.

    Args:
        cache: folder for the distilled Model2Vec model.

    Raises UserError for a corpus that a classifier cannot be fitted on.
    """
    task = read_schema(corpus).task
    labels = task.outputs
    controls = [_tfidf(corpus, task, c_grid, seed), _majority(corpus, labels)]
    if model2vec is not None:
        static = fit_model2vec(
            corpus, encoder, labels, settings=model2vec, c_grid=c_grid, cache=cache
        )
        controls.append(
            Control(
                name=MODEL2VEC,
                predict=static.predict,
                encode=static.encode,
                run=static.run,
                architecture=f"static embeddings, {static.model.dim} wide, logistic regression "
                f"(C = {static.c:g})",
                parameters=static.model.embedding.size + static.weights.size + len(static.bias),
                size_bytes=static.size_bytes,
            )
        )
    return controls


def _tfidf(corpus: Path, task: Task, c_grid: Sequence[float], seed: int) -> Control:
    fitted = fit_tfidf(corpus, task, c_grid=c_grid, seed=seed)
    ((name, model),) = fitted.fitted.items()
    return Control(
        name=TFIDF,
        predict=lambda texts: fitted.values(texts)[name].argmax(axis=1),
        architecture=f"{fitted.features:,} n-grams, logistic regression (C = {model.c:g})",
    )


def _majority(corpus: Path, labels: tuple[str, ...]) -> Control:
    """The most frequent class; of equally frequent ones the first."""
    counts = np.bincount(class_indices(read_split(corpus, "train")["label"], labels))
    commonest = int(counts.argmax())
    return Control(
        name=MAJORITY,
        predict=lambda texts: np.full(len(texts), commonest),
        architecture=f"always '{labels[commonest]}'",
    )
