"""Exported models that count words, for every kind of target: their answers are known."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from decant.inference.model_files import manifest_digest
from decant.runtime.identity import file_digest
from decant.tasks.task import Target, Task

Weights = Mapping[str, float]  # of words; others have none

CLASSES = Target(
    name="tone",
    kind="single_label",
    column="tone",
    outputs=("negative", "positive"),
    metric="accuracy",
)
# Joy from the logit 1 on, grief from 2 on.
EMOTIONS = Target(
    name="emotions",
    kind="multi_label",
    column="emotions",
    outputs=("joy", "grief"),
    metric="micro_f1",
    facts={"thresholds": "per_label", "threshold": 0.5, "decision": {"thresholds": [1.0, 2.0]}},
)
STARS = Target(
    name="stars",
    kind="regression",
    column="stars",
    outputs=("stars",),
    metric="pearson",
    facts={"center": 3.0, "scale": 2.0, "minimum": 1.0, "maximum": 5.0, "ordinal": False},
)
OF_CLASSES: list[Weights] = [{"bad": 20, "dull": 20}, {"good": 20, "great": 20}]
OF_EMOTIONS: list[Weights] = [{"good": 20, "great": 20}, {"sad": 20, "dull": 20}]
OF_STARS: list[Weights] = [{"good": 2.5, "great": 10, "bad": -2.5, "dull": -10}]

# The targets and weights of a model of each kind, and of one with all three.
TASKS: dict[str, tuple[list[Target], list[Weights]]] = {
    "single_label": ([CLASSES], OF_CLASSES),
    "multi_label": ([EMOTIONS], OF_EMOTIONS),
    "regression": ([STARS], OF_STARS),
    "several": ([CLASSES, EMOTIONS, STARS], [*OF_CLASSES, *OF_EMOTIONS, *OF_STARS]),
}


def write_word_model(
    folder: Path, weights: Sequence[Weights], targets: Sequence[Target] | None = None
) -> Path:
    """A model whose logits are the mean over all tokens, [CLS] and [SEP] too, of their weights.

    Texts are cut after 32 tokens.

    Args:
        weights: of each logit.
        targets: the manifest has format 2 with them; None leaves the manifest's task out.
    """
    from tests.tiny import tiny_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tokenizer.enable_truncation(32)
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.zeros((tokenizer.get_vocab_size(), len(weights)), dtype=np.float32)
    for column, of_words in enumerate(weights):
        for word, weight in of_words.items():
            table[tokenizer.token_to_id(word), column] = weight
    write_graph(folder / "model.onnx", table)
    manifest: dict[str, Any] = {
        "architecture": "table of word weights",
        "encoder": "none",
        "pad_id": 0,
        "max_length_tokens": 32,
        "parameters": int(table.size),
        "size_bytes": 1234,
    }
    if targets is not None:
        task = Task(tuple(targets))
        manifest |= {"format": 2, "labels": list(task.outputs), "targets": task.as_json()}
    write_manifest(folder, manifest)
    return folder


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def seal(folder: Path) -> Path:
    """Put the digests into the manifest, as export_onnx does."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    files = {name: file_digest(folder / name) for name in ("model.onnx", "tokenizer.json")}
    manifest |= {"files": files}
    write_manifest(folder, {**manifest, "digest": manifest_digest(manifest)})
    return folder


def write_graph(file: Path, table: "np.ndarray[Any, Any]") -> None:
    """ids (batch, length) → the mean over the tokens of their rows of the table (batch, W)."""
    constants = {
        "table": table,
        "pad": np.array(0, dtype=np.int64),
        "length": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["states"]),
        helper.make_node("ReduceSum", ["states", "length"], ["sums"], keepdims=0),
        helper.make_node("Equal", ["input_ids", "pad"], ["is_padding"]),
        helper.make_node("Not", ["is_padding"], ["is_token"]),
        helper.make_node("Cast", ["is_token"], ["ones"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ones", "length"], ["counts"], keepdims=1),
        helper.make_node("Div", ["sums", "counts"], ["logits"]),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])
    width = table.shape[1]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", width])
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [ids], [logits], weights)
    opset = helper.make_opsetid("", 20)
    save_model(helper.make_model(graph, opset_imports=[opset], ir_version=10), file)
