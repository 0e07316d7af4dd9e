"""Exported models from strangers, for `decant predict` and TextClassifier.load.

Each is refused, or answers as if nothing had been.

In most of the attacks the manifest is sealed again after the harm, as whoever made the model would.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from decant.inference.model_files import GRAPH, MANIFEST, TOKENIZER
from decant.tasks.answers import cells
from decant.text_classifier import TextClassifier
from pipelines.__main__ import main
from tests.chaos.attack import Attack, Attempt, Ended, attempt
from tests.chaos.command import environment, finished_here
from tests.chaos.harms import FILE_HARMS, JSON_HARMS, Harm
from tests.word_models import TASKS, seal, write_manifest, write_word_model

COUNT = 40
SECONDS = 5.0
WORKERS = 1

_TEXTS = [
    "a good film",
    "",
    "a dull, dull story",
    "great acting",
    "nothing that it knows: ꙮ",
    "bad",
]
_SECRET = b"not for strangers"


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """A sound model of each kind of target, and its answers."""
    with patch.dict(os.environ, environment(folder)):
        sound = {}
        for kind, (targets, weights) in TASKS.items():
            model = seal(write_word_model(folder / kind, weights, targets))
            sound[kind] = _answers(_predicted(model))
            assert len(sound[kind]) == len(_TEXTS)
            assert sound[kind] == _answers(_answered(model))

        def attack(rng: random.Random, own: Path) -> Attempt:
            kind = rng.choice(list(TASKS))
            model = own / "model"
            shutil.copytree(folder / kind, model)
            (own / "secret").write_bytes(_SECRET)
            if rng.random() < 0.3:
                done = _unsealed(rng, model)
            else:
                done = f"{rng.choice(HARMS)(rng, model)}, sealed again"
            ended = rng.choice([_predicted, _answered])(model)
            wrong = ""
            if ended.code == 0 and _answers(ended) != sound[kind]:
                wrong = "it answers otherwise than the sound model"
            return attempt(f"{kind}: {done}", ended, wrong)

        yield attack


def _predicted(model: Path) -> Ended:
    """By the command, text by text."""
    words = ["predict", "--model", str(model), "--json", *_TEXTS]
    return finished_here(lambda: main(words, standalone_mode=False))


def _answered(model: Path) -> Ended:
    """By the one-call loader, all texts in one batch."""

    def answer() -> None:
        classifier = TextClassifier.load(model)
        answers = classifier.predict(_TEXTS, batch_size=len(_TEXTS))
        for text, one in zip(_TEXTS, answers, strict=True):
            print(json.dumps({**cells(classifier.task, one), "text": text}, ensure_ascii=False))

    return finished_here(answer)


def _answers(ended: Ended) -> list[Any]:
    return [json.loads(line) for line in ended.output.splitlines() if line.startswith("{")]


def _unsealed(rng: random.Random, model: Path) -> str:
    file = rng.choice(sorted(model.iterdir()))
    return rng.choice(FILE_HARMS)(rng, file)


def _manifest(rng: random.Random, model: Path) -> str:
    """Odd, and with the right digests where it still has any."""
    file = model / MANIFEST
    done = rng.choice(JSON_HARMS)(rng, file)
    try:
        if isinstance(json.loads(file.read_text("utf-8")), dict):
            seal(model)
    except (ValueError, RecursionError):
        pass
    return done


def _tokenizer(rng: random.Random, model: Path) -> str:
    done = rng.choice(JSON_HARMS)(rng, model / TOKENIZER)
    seal(model)
    return done


def _far_ids(rng: random.Random, model: Path) -> str:
    """The tokenizer of a larger model: its ids lie beyond the table."""
    content = json.loads((model / TOKENIZER).read_text("utf-8"))
    vocabulary = content["model"]["vocab"]
    for piece in ("film", "a", "good", "story", "[UNK]"):
        vocabulary[piece] += 10_000
    (model / TOKENIZER).write_text(json.dumps(content), "utf-8")
    seal(model)
    return "the tokenizer of a larger model"


def _pad_id(rng: random.Random, model: Path) -> str:
    value = rng.choice([-1, 10**6, 2**70, "0", None, 1.5])
    manifest = json.loads((model / MANIFEST).read_text("utf-8"))
    write_manifest(model, manifest | {"pad_id": value})
    seal(model)
    return f"pad_id is {value!r}"


def _weights(rng: random.Random, model: Path) -> str:
    """NaN, or an infinite number, in words that are asked for."""

    def change(graph: onnx.GraphProto) -> str:
        table = next(one for one in graph.initializer if one.name == "table")
        value = rng.choice([float("nan"), float("inf"), -float("inf")])
        values = numpy_helper.to_array(table).copy()
        values[:] = value
        table.CopyFrom(numpy_helper.from_array(values, "table"))
        return f"all weights are {value}"

    return _with_graph(model, change)


def _shape(rng: random.Random, model: Path) -> str:
    """A table of another shape, or one that promises more numbers than it has."""

    def change(graph: onnx.GraphProto) -> str:
        table = next(one for one in graph.initializer if one.name == "table")
        values = numpy_helper.to_array(table)
        how = rng.choice(["flat", "three", "narrow", "endless", "negative", "short"])
        match how:
            case "flat":
                table.CopyFrom(numpy_helper.from_array(values.reshape(-1).copy(), "table"))
            case "three":
                table.CopyFrom(numpy_helper.from_array(values[None].copy(), "table"))
            case "narrow":
                wide = np.concatenate([values, values[:, :1]], axis=1)
                table.CopyFrom(numpy_helper.from_array(wide, "table"))
            case "endless":
                table.dims[0] = 2**40
            case "negative":
                table.dims[0] = -1
            case _:
                table.raw_data = table.raw_data[:-8]
        return f"the table of the graph is {how}"

    return _with_graph(model, change)


def _external(rng: random.Random, model: Path) -> str:
    """Weights that lie in another file: elsewhere on the machine, missing, or beside the graph."""
    place = rng.choice(["../secret", "/etc/passwd", "missing.bin", "weights.bin", ""])

    def change(graph: onnx.GraphProto) -> str:
        table = next(one for one in graph.initializer if one.name == "table")
        values = numpy_helper.to_array(table)
        (model / "weights.bin").write_bytes((-values).tobytes())  # of which no digest tells
        table.ClearField("raw_data")
        table.data_location = TensorProto.EXTERNAL
        for key, value in {"location": place, "offset": "0", "length": str(values.nbytes)}.items():
            table.external_data.add(key=key, value=value)
        return f"the weights lie in '{place}'"

    return _with_graph(model, change)


def _custom(rng: random.Random, model: Path) -> str:
    """An operator that only a library of the stranger's has."""

    def change(graph: onnx.GraphProto) -> str:
        node = helper.make_node("Evil", ["logits_before"], ["logits"], domain="com.example")
        graph.node[-1].output[0] = "logits_before"
        graph.node.append(node)
        return "an operator of the domain com.example"

    return _with_graph(model, change, domains=[helper.make_opsetid("com.example", 1)])


def _outputs(rng: random.Random, model: Path) -> str:
    """Answers of another name, type or number."""

    def change(graph: onnx.GraphProto) -> str:
        how = rng.choice(["another name", "whole numbers", "one number", "no output", "no batch"])
        last = graph.node[-1]
        match how:
            case "another name":
                last.output[0] = graph.output[0].name = "answers"
            case "whole numbers":
                last.output[0] = "before"
                graph.node.append(helper.make_node("Cast", ["before"], ["logits"], to=7))
                graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
            case "one number":
                last.output[0] = "before"
                graph.node.append(helper.make_node("ReduceMean", ["before"], ["logits"]))
                graph.output[0].CopyFrom(
                    helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["a", "b"])
                )
            case "no output":
                del graph.output[:]
            case _:
                last.output[0] = "before"
                axes = numpy_helper.from_array(np.array([0], dtype=np.int64), "axes")
                graph.initializer.append(axes)
                graph.node.append(
                    helper.make_node("ReduceMean", ["before", "axes"], ["logits"], keepdims=0)
                )
                graph.output[0].CopyFrom(
                    helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["a"])
                )
        return f"the graph's answers: {how}"

    return _with_graph(model, change)


def _future(rng: random.Random, model: Path) -> str:
    version = rng.choice([0, 99, 10**6])
    graph = onnx.load(model / GRAPH)
    graph.opset_import[0].version = version
    (model / GRAPH).write_bytes(graph.SerializeToString())
    seal(model)
    return f"opset {version}"


def _swapped_names(rng: random.Random, model: Path) -> str:
    """The manifest is a dictionary of the outputs in another number."""
    manifest = json.loads((model / MANIFEST).read_text("utf-8"))
    how = rng.choice(["one more", "one less", "one twice", "of nobody"])
    outputs = manifest["targets"][0]["outputs"]
    match how:
        case "one more":
            outputs.append("more")
        case "one less":
            del outputs[-1]
        case "one twice":
            outputs[:] = [outputs[0]] * (len(outputs) + 1)
        case _:
            manifest["labels"] = ["of", "nobody"]
    write_manifest(model, manifest)
    seal(model)
    return f"the names of the outputs: {how}"


def _with_graph(model: Path, change: Callable[[onnx.GraphProto], str], domains: Any = ()) -> str:
    loaded = onnx.load(model / GRAPH)
    done = change(loaded.graph)
    loaded.opset_import.extend(domains)
    (model / GRAPH).write_bytes(loaded.SerializeToString())
    seal(model)
    return done


HARMS: list[Harm] = [
    _manifest,
    _manifest,
    _manifest,
    _tokenizer,
    _tokenizer,
    _far_ids,
    _pad_id,
    _weights,
    _shape,
    _shape,
    _external,
    _external,
    _custom,
    _outputs,
    _outputs,
    _future,
    _swapped_names,
]
