"""TF-IDF and logistic regression, in scikit-learn and as an ONNX graph."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.peer import Answer, Run

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

_TERMS, _NUMBERS, _GRAPH, _LABELS = "terms.json", "numbers.npz", "model.onnx", "labels.json"
# The same words, signs and pairs as decant.tasks.ngrams for scripts with blanks between words, in
# the syntax of Python's `re` and in that of RE2, whose \w is ASCII alone.
_PATTERN = r"\w+|[^\w\s]"
_PATTERN_RE2 = r"[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s]"


class Tfidf:
    """evaluate's control. Kept as JSON and numbers, since a pickle can run any code."""

    def prepare(self, run: Run, folder: Path) -> None:
        from components.evaluate.tfidf import fit_tfidf

        control = fit_tfidf(run.folder / "corpus", run.task, c_grid=run.c_grid, seed=run.seed)
        weights, bias = next(iter(control.fitted.values())).linear
        folder.mkdir()
        terms = {term: int(column) for term, column in control.vectorizer.vocabulary_.items()}
        content = {"terms": terms, "labels": run.labels}
        (folder / _TERMS).write_text(json.dumps(content), "utf-8")
        np.savez(folder / _NUMBERS, idf=control.vectorizer.idf_, weights=weights, bias=bias)

    def open(self, folder: Path, threads: int) -> Answer:
        from sklearn.feature_extraction.text import TfidfVectorizer

        from decant.tasks.ngrams import ngrams

        content = json.loads((folder / _TERMS).read_text("utf-8"))
        numbers = np.load(folder / _NUMBERS, allow_pickle=False)
        vectorizer = TfidfVectorizer(analyzer=ngrams, sublinear_tf=True)
        vectorizer.vocabulary_ = content["terms"]
        vectorizer.idf_ = numbers["idf"]
        weights, bias, labels = numbers["weights"], numbers["bias"], content["labels"]

        def answer(texts: list[str]) -> list[str]:
            logits = vectorizer.transform(texts) @ weights + bias
            return [labels[best] for best in logits.argmax(axis=1)]

        return answer


class TfidfOnnx:
    """The pipeline of vectoriser and logistic regression, converted by skl2onnx.

    Letters are made small in Python: ONNX's operator for it needs a locale of the system.

    Args:
        sublinear: as the control, the logarithm of a term's count. skl2onnx 1.20 writes
            log(1 + count) into the graph for scikit-learn's 1 + log(count), for every term of the
            vocabulary: some labels change, and it takes time. Without it a model of plain counts is
            trained on the same rows, and the graph answers as scikit-learn does.
    """

    def __init__(self, sublinear: bool) -> None:
        self.sublinear = sublinear

    def prepare(self, run: Run, folder: Path) -> None:
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import StringTensorType
        from sklearn.pipeline import make_pipeline

        vectorizer, model = self._fitted(run)
        graph = to_onnx(
            make_pipeline(vectorizer, model),
            initial_types=[("text", StringTensorType([None, 1]))],
            options={id(model): {"zipmap": False}, id(vectorizer): {"tokenexp": _PATTERN_RE2}},
        )
        folder.mkdir()
        (folder / _GRAPH).write_bytes(graph.SerializeToString())
        (folder / _LABELS).write_text(json.dumps(run.labels), "utf-8")

    def open(self, folder: Path, threads: int) -> Answer:
        from decant.inference.classifier import open_session

        session = open_session(folder / _GRAPH, threads, "cpu")
        output = session.get_outputs()[0].name  # the class's number
        labels = json.loads((folder / _LABELS).read_text("utf-8"))

        def answer(texts: list[str]) -> list[str]:
            column = np.array([[text.lower()] for text in texts], dtype=object)
            found: NDArray[np.int64] = session.run([output], {"text": column})[0]
            return [labels[number] for number in found]

        return answer

    def _fitted(self, run: Run) -> tuple["TfidfVectorizer", Any]:
        """With a pattern in the place of Decant's function, which skl2onnx cannot convert."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        from components.evaluate.labelled_rows import read_labelled
        from decant.tasks.control import fit_linear

        corpus, task = run.folder / "corpus", run.task
        train, held_out = (read_labelled(corpus, split, task) for split in ("train", "validation"))
        vectorizer = TfidfVectorizer(
            token_pattern=_PATTERN,
            ngram_range=(1, 2),
            lowercase=False,
            sublinear_tf=self.sublinear,
        )
        features = vectorizer.fit_transform([text.lower() for text in train.texts])
        others = vectorizer.transform([text.lower() for text in held_out.texts])
        fitted = fit_linear(
            task,
            (features, train.labels),
            (others, held_out.labels),
            c_grid=run.c_grid,
            seed=run.seed,
        )
        return vectorizer, next(iter(fitted.values())).model


def words(text: str) -> str:
    """Small letters, with blanks between words and signs: for what splits at blanks."""
    return " ".join(re.findall(_PATTERN, text.lower()))
