"""All entries, in the order of the table, each by the module that knows it."""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers.peer import Peer

TEACHER = "teacher"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of the table.

    Attributes:
        kind: module and class of benchmarks.peers.
        arguments: of the class.
        packages: that must be installed, those of the dependency group `peers` among them.
        exported: the folder of onnx/ without which a run does not have the entry.
        alike: another entry whose labels its own are compared with.
        answers: False of random weights, whose labels mean nothing.
        share: of each block, the part that a slow entry is timed on.
    """

    title: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    exported: str = TEACHER
    alike: str = ""
    answers: bool = True
    share: float = 1.0

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(one for one in self.packages if importlib.util.find_spec(one) is None)

    def load(self) -> Peer:
        """The entry itself."""
        module, _, name = self.kind.partition(".")
        made: Peer = getattr(importlib.import_module(f"benchmarks.peers.{module}"), name)(
            **self.arguments
        )
        return made


def _exported(title: str, role: str, alike: str = "") -> Entry:
    return Entry(
        title=title,
        kind="exported.Exported",
        arguments={"role": role},
        exported=role,
        alike=alike,
    )


ENTRIES: Mapping[str, Entry] = {
    "student": _exported("student", "student", "student_float32"),
    "student_float32": _exported("student, float32", "student_float32"),
    TEACHER: _exported("teacher, float32", TEACHER),
    "teacher_int8": _exported("teacher, Decant's int8", "teacher_int8", TEACHER),
    "optimum_int8": Entry(
        title="teacher, Optimum's int8", kind="plain_graph.OptimumInt8", alike=TEACHER
    ),
    "bert_base": Entry(
        title="BERT-base's shape, float32",
        kind="plain_graph.BertBaseShape",
        answers=False,
        share=0.2,
    ),
    "two_layers": Entry(title="BERT's first two layers", kind="plain_graph.TwoLayers"),
    "model2vec": Entry(
        title="Model2Vec + logistic regression",
        kind="model2vec.Model2VecLinear",
        packages=("model2vec", "skeletoken"),
    ),
    "fasttext": Entry(title="fastText", kind="fasttext_peer.FastText", packages=("fasttext",)),
    "tfidf": Entry(title="TF-IDF + logistic regression, scikit-learn", kind="tfidf.Tfidf"),
    "tfidf_onnx": Entry(
        title="TF-IDF + logistic regression, ONNX",
        kind="tfidf.TfidfOnnx",
        arguments={"sublinear": True},
        packages=("skl2onnx",),
        alike="tfidf",
    ),
    "tfidf_counts_onnx": Entry(
        title="TF-IDF of plain counts, ONNX",
        kind="tfidf.TfidfOnnx",
        arguments={"sublinear": False},
        packages=("skl2onnx",),
    ),
}
