"""A model folder is loaded only as its manifest names it, and a model answers only with numbers."""

import json
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
from click.testing import CliRunner
from mlflow.exceptions import MlflowException
from onnx import numpy_helper

from components.register.registry import save_model
from decant.inference.classifier import NotFinite, OnnxClassifier
from decant.inference.model_files import DamagedModel
from decant.runtime.errors import UserError
from decant.text_classifier import TextClassifier
from pipelines.__main__ import main
from tests.damages import cut_in_half, empty, flip_a_bit
from tests.errors import assert_error, raises
from tests.word_models import TASKS, seal, write_manifest, write_word_model


def word_model(folder: Path) -> Path:
    targets, weights = TASKS["single_label"]
    return seal(write_word_model(folder, weights, targets))


def served(folder: Path, *texts: str) -> pd.DataFrame:
    """As MLflow loads a registered model and has it answer."""
    return mlflow.pyfunc.load_model(str(folder)).predict(pd.DataFrame({"text": texts}))


def swap_labels(folder: Path) -> None:
    """Every answer is the opposite, and each part of the manifest agrees with the others."""
    file = folder / "manifest.json"
    text = file.read_text("utf-8")
    marked = text.replace('"negative"', '"#"').replace('"positive"', '"negative"')
    file.write_text(marked.replace('"#"', '"positive"'), "utf-8")


def swap_weights(folder: Path) -> None:
    """A graph that loads and answers, of another model."""
    model = onnx.load(folder / "model.onnx")
    (weights,) = (item for item in model.graph.initializer if item.name == "table")
    table = numpy_helper.to_array(weights)[:, ::-1].copy()
    weights.CopyFrom(numpy_helper.from_array(table, "table"))
    onnx.save(model, folder / "model.onnx")


def other_file_digests(folder: Path) -> None:
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(manifest | {"files": {"model.onnx": "0" * 64}}), "utf-8")


HARMS: list[tuple[str, Callable[[Path], None]]] = [
    ("manifest.json", swap_labels),
    ("manifest.json", other_file_digests),
    ("model.onnx", swap_weights),
    *(
        (name, lambda folder, name=name, damage=damage: damage(folder / name))  # type: ignore[misc]
        for name in ("model.onnx", "tokenizer.json")
        for damage in (cut_in_half, flip_a_bit, empty)
    ),
]


@pytest.mark.parametrize(("name", "harm"), HARMS)
def test_a_folder_that_its_manifest_does_not_name_is_refused(
    name: str, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = word_model(tmp_path / "model")
    assert TextClassifier.load(folder).predict(["a good film"])[0].label == "positive"
    before = json.loads((folder / "manifest.json").read_text("utf-8"))
    harm(folder)
    with raises("model-damaged", str(folder / name), "export_onnx") as caught:
        TextClassifier.load(folder)
    expected = before["files"].get(name, before["digest"])
    if harm is not other_file_digests:
        assert expected in str(caught.value) and str(caught.value).count("sha256") == 1
    with pytest.raises(DamagedModel, match=name):
        OnnxClassifier(folder)
    done = CliRunner().invoke(main, ["predict", "--model", str(folder), "a good film"])
    assert done.exit_code != 0 and not done.stdout
    assert isinstance(done.exception, UserError)
    assert_error(done.exception, "model-damaged", str(folder / name))


@pytest.mark.parametrize("harm", [swap_labels, swap_weights])
def test_a_registered_model_is_checked_by_the_code_that_it_brings(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    save_model(word_model(tmp_path / "model"), tmp_path / "served")
    (manifest,) = (tmp_path / "served").rglob("manifest.json")
    assert served(tmp_path / "served", "a good film")["label"].tolist() == ["positive"]
    harm(manifest.parent)
    with pytest.raises(Exception, match=r"sha256 is [0-9a-f]{64}, the manifest names [0-9a-f]{64}"):
        served(tmp_path / "served", "a good film")


def test_a_folder_from_before_there_were_digests_loads(tmp_path: Path) -> None:
    targets, weights = TASKS["single_label"]
    folder = write_word_model(tmp_path, weights, targets)
    assert TextClassifier.load(folder).predict(["a good film"])[0].label == "positive"


def external_weights(graph: onnx.GraphProto, folder: Path) -> None:
    """Their file is there, but no digest is of it."""
    (table,) = (item for item in graph.initializer if item.name == "table")
    (folder / "weights.bin").write_bytes(table.raw_data)
    table.ClearField("raw_data")
    table.data_location = onnx.TensorProto.EXTERNAL
    table.external_data.add(key="location", value="weights.bin")


def one_answer(graph: onnx.GraphProto, folder: Path) -> None:
    """The mean of all texts."""
    graph.node[-1].output[0] = "before"
    graph.initializer.append(numpy_helper.from_array(np.array([0]), "axes"))
    mean = onnx.helper.make_node("ReduceMean", ["before", "axes"], ["logits"], keepdims=0)
    graph.node.append(mean)
    del graph.output[0].type.tensor_type.shape.dim[0]


def fewer_pieces(graph: onnx.GraphProto, folder: Path) -> None:
    (table,) = (item for item in graph.initializer if item.name == "table")
    table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table)[:9], "table"))


def other_name(graph: onnx.GraphProto, folder: Path) -> None:
    graph.node[-1].output[0] = graph.output[0].name = "answers"


def whole_numbers(graph: onnx.GraphProto, folder: Path) -> None:
    graph.node[-1].output[0] = "before"
    graph.node.append(onnx.helper.make_node("Cast", ["before"], ["logits"], to=7))
    graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT64


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (external_weights, "model-damaged", "another file"),
        (one_answer, "model-unreadable", "(2,)"),
        (fewer_pieces, "model-unreadable", "does not answer text 0"),
        (other_name, "model-unreadable", "answers"),
        (whole_numbers, "model-unreadable", "tensor(int64)"),
    ],
)
def test_a_graph_of_another_kind_gives_no_answer(
    change: Callable[[onnx.GraphProto, Path], None],
    code: str,
    said: str,
    batch_size: int,
    tmp_path: Path,
) -> None:
    """Its digests are right: it was made so."""
    folder = word_model(tmp_path / "model")
    model = onnx.load(folder / "model.onnx")
    change(model.graph, folder)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    seal(folder)
    with raises(code, str(folder), said):
        TextClassifier.load(folder).predict(["good"] * batch_size, batch_size=batch_size)


@pytest.mark.parametrize("pad_id", [-1, 2**70, True, None])
def test_a_padding_that_is_no_id_is_refused(pad_id: object, tmp_path: Path) -> None:
    folder = word_model(tmp_path / "model")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    write_manifest(folder, manifest | {"pad_id": pad_id})
    seal(folder)
    with raises("model-unreadable", str(folder), "pad_id"):
        TextClassifier.load(folder)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_answers_that_are_not_numbers_are_refused(number: float, tmp_path: Path) -> None:
    """The graph is whole: it was trained or exported so."""
    targets, weights = TASKS["single_label"]
    broken = [{**of_output, "film": number} for of_output in weights]
    folder = seal(write_word_model(tmp_path / "model", broken, targets))
    classifier = TextClassifier.load(folder)
    assert classifier.predict(["good"])[0].label == "positive"
    with raises("model-unreadable", str(folder), "text 2", f"{number:g}"):
        classifier.predict(["good", "bad", "a film"])
    with pytest.raises(NotFinite, match="text 1"):
        OnnxClassifier(folder).logits(["good", "a film"], batch_size=32)
    done = CliRunner().invoke(main, ["predict", "--model", str(folder), "--json", "a film"])
    assert done.exit_code != 0 and not done.stdout
    save_model(folder, tmp_path / "served")
    assert np.isfinite(served(tmp_path / "served", "good")["score"]).all()
    with pytest.raises(MlflowException, match="not finite numbers"):
        served(tmp_path / "served", "good", "a film")
