"""Exported models of any task whose logits are counted from words, and corpora to run them on.

A logit of a label is -2 + 60 times the share of its words among the tokens; that of `sentiment` 60
times the share; a scaled number is the share of good words minus that of bad ones, times 10, and
the number itself 3 more.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from decant.data.corpus import Schema, write_schema
from decant.runtime.artifacts import write_json
from decant.tasks.labels import column_of, corpus_fields
from decant.tasks.task import Target, Task
from tests.components.evaluate.conftest import write_card
from tests.word_models import write_graph

WORDS = {
    "joy": ("good", "great", "fine", "lovely"),
    "wonder": ("superb", "moving", "funny", "clever"),
    "anger": ("bad", "awful", "dull", "poor"),
    "gloom": ("boring", "clumsy", "sad", "stale"),
}
GOOD, BAD = WORDS["joy"] + WORDS["wonder"], WORDS["anger"] + WORDS["gloom"]
UNKNOWN = {
    "teacher": ("clever",),
    "student": ("clever", "stale", "fine", "sad"),
    "undistilled": ("good", "great", "fine", "lovely", "superb", "moving", "bad", "awful", "dull"),
}

MOOD = Target(
    name="mood",
    kind="multi_label",
    column="moods",
    outputs=tuple(WORDS),
    metric="micro_f1",
    facts={"thresholds": "per_label", "threshold": 0.5},
)
STARS = Target(
    name="stars",
    kind="regression",
    column="rating",
    outputs=("stars",),
    metric="pearson",
    facts={"center": 3.0, "scale": 1.0, "minimum": 0.0, "maximum": 6.0, "ordinal": False},
)
SENTIMENT = Target(
    name="sentiment",
    kind="single_label",
    column="sentiment",
    outputs=("negative", "positive"),
    metric="macro_f1",
)
# The thresholds of the models, as logits.
DECIDED = {"thresholds": [0.0, 0.0, 0.0, 0.0]}


def write_word_models(
    folder: Path, exported: Path, task: Task, unknown: Mapping[str, tuple[str, ...]] = UNKNOWN
) -> Path:
    """An onnx artifact.

    Args:
        exported: the tiny model, whose tokenizer they take.
        unknown: per role the words that it has not learned.
    """
    for role, words in unknown.items():
        (folder / role).mkdir(parents=True)
        text = (exported / "tokenizer.json").read_text("utf-8")
        (folder / role / "tokenizer.json").write_text(text, "utf-8")
        tokenizer = Tokenizer.from_str(text)
        table = np.zeros((tokenizer.get_vocab_size(), len(task.outputs)), dtype=np.float32)
        for target, columns in task.parts():
            table[:, columns] = _weights(target, tokenizer, set(words))
        write_graph(folder / role / "model.onnx", table)
        manifest = json.loads((exported / "manifest.json").read_text("utf-8"))
        targets = [_decided(target) for target in task.as_json()]
        write_json(
            folder / role / "manifest.json",
            manifest | {"format": 2, "role": role, "labels": task.outputs, "targets": targets},
        )
    write_card(folder, "export_onnx")
    return folder


def write_corpus(
    folder: Path, csv: Path, task: Task, known: Callable[[str, int], bool] = lambda name, row: True
) -> Path:
    """A corpus artifact of the tiny texts: 150, 50, 100 and 100 rows.

    Args:
        known: whether the label of a target is known, by its name and the row's number.
    """
    texts = pd.read_csv(csv)["text"].tolist()
    columns: dict[str, list[Any]] = {"row_id": [f"row-{row}" for row in range(len(texts))]}
    columns["text"] = texts
    for target in task.targets:
        columns[column_of(task, target)] = [
            truth(target, text) if known(target.name, row) else None
            for row, text in enumerate(texts)
        ]
    fields = [pa.field("row_id", pa.string()), pa.field("text", pa.string()), *corpus_fields(task)]
    table = pa.table(columns, schema=pa.schema(fields))
    folder.mkdir(parents=True)
    places = {"train": (0, 150), "validation": (150, 50), "test": (200, 100)}
    for split, (start, rows) in places.items():
        pq.write_table(table.slice(start, rows), folder / f"{split}.parquet")
    pq.write_table(table.slice(300).select(["row_id", "text"]), folder / "unlabelled.parquet")
    write_schema(folder, Schema(task=task, text_column="text"))
    write_card(folder, "ingest")
    return folder


def truth(target: Target, text: str, unknown: tuple[str, ...] = ()) -> Any:
    """The right label, or the answer of a model that does not know some words."""
    words = [word for word in text.split() if word not in unknown]
    good, bad = (sum(word in part for word in words) for part in (GOOD, BAD))
    if target.kind == "multi_label":
        return [label for label in target.outputs if any(word in WORDS[label] for word in words)]
    if target.kind == "regression":
        return 3 + 10 * (good - bad) / (len(text.split()) + 2)
    return "positive" if good > bad else "negative"


def _decided(target: dict[str, Any]) -> dict[str, Any]:
    if target["kind"] != "multi_label":
        return target
    return target | {"facts": {**target["facts"], "decision": DECIDED}}


def _weights(target: Target, tokenizer: Tokenizer, unknown: set[str]) -> NDArray[np.float32]:
    """(vocabulary, outputs); a logit is the mean over the tokens."""
    table = np.zeros((tokenizer.get_vocab_size(), len(target.outputs)), dtype=np.float32)

    def ids(words: tuple[str, ...]) -> list[int]:
        return [tokenizer.token_to_id(word) for word in words if word not in unknown]

    if target.kind == "multi_label":
        table[1:] = -2
        for column, label in enumerate(target.outputs):
            table[ids(WORDS[label]), column] = 58
    elif target.kind == "regression":
        table[ids(GOOD), 0], table[ids(BAD), 0] = 10, -10
    else:
        table[ids(BAD), 0], table[ids(GOOD), 1] = 60, 60
    return table
