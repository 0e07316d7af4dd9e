"""The controls that need no run of the steps: TF-IDF, Model2Vec, always the same answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.model2vec_control import fit_model2vec
from benchmarks.study.results import CONSTANT, MAJORITY, MODEL2VEC, TFIDF
from benchmarks.study.study_plan import Model2Vec
from components.evaluate.labelled_rows import read_labelled
from components.evaluate.tfidf import fit_tfidf
from decant.data.corpus import read_schema
from decant.inference.latency import Candidate
from decant.tasks.control import constants, method
from decant.tasks.quality import Values
from decant.tasks.task import CLASSES, Task


@dataclass(frozen=True, kw_only=True)
class Control:
    """Texts to values per target (texts, W), and its parts that can be timed.

    Attributes:
        task: with what it decided on validation rows.
        encode, run: as in `Candidate`; None where tokenization and model cannot be separated.
    """

    name: str
    task: Task
    values: Callable[[Sequence[str]], Mapping[str, Values]]
    encode: Callable[[list[str]], NDArray[np.int64]] | None = None
    run: Callable[[NDArray[np.int64]], object] | None = None
    architecture: str
    parameters: int | None = None
    size_bytes: int | None = None

    def candidate(self, texts: int) -> Candidate[str]:
        return Candidate(predict=self.values, encode=self.encode, run=self.run, texts=texts)


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

    Raises UserError for a corpus that a linear model cannot be fitted on.
    """
    task = read_schema(corpus).task
    controls = [_tfidf(corpus, task, c_grid, seed), _constant(corpus, task)]
    if model2vec is not None:
        static = fit_model2vec(
            corpus, encoder, task, settings=model2vec, c_grid=c_grid, seed=seed, cache=cache
        )
        controls.append(
            Control(
                name=MODEL2VEC,
                task=static.task,
                values=static.values,
                encode=static.encode,
                run=static.run,
                architecture=f"static embeddings, {static.model.dim} wide, "
                f"{_methods(static.fitted)}",
                parameters=static.model.embedding.size + static.weights.size + len(static.bias),
                size_bytes=static.size_bytes,
            )
        )
    return controls


def _tfidf(corpus: Path, task: Task, c_grid: Sequence[float], seed: int) -> Control:
    control = fit_tfidf(corpus, task, c_grid=c_grid, seed=seed)
    return Control(
        name=TFIDF,
        task=control.task,
        values=control.values,
        architecture=f"{control.features:,} n-grams, {_methods(control.fitted)}",
    )


def _methods(fitted: Mapping[str, Any]) -> str:
    """Such as `logistic regression (C = 10)`; of several targets each one's."""
    return ", ".join(f"{method(one.target)} (C = {one.c:g})" for one in fitted.values())


def _constant(corpus: Path, task: Task) -> Control:
    """The best constant answer on the training rows: of classes the most frequent one."""
    best = constants(task, read_labelled(corpus, "train", task).labels)
    return Control(
        name=MAJORITY if task.kind == CLASSES else CONSTANT,
        task=task,
        values=lambda texts: {
            name: np.tile(answer, (len(texts), 1)) for name, (answer, _) in best.items()
        },
        architecture="always " + ", ".join(f"'{text}'" for _, text in best.values()),
    )
