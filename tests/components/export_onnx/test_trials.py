"""Accepting and refusing forms, on tables whose rounding is known."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from components.export_onnx.choice import reason, smallest
from components.export_onnx.trials import (
    Figures,
    Limits,
    Material,
    Trial,
    Trials,
    some_of,
)
from decant.data.tokens import TokenRows
from decant.tasks.task import Task

TASK = Task.of_classes(["first", "second"])

STRICT = Limits(max_accuracy_loss=0.0, min_label_agreement=1.0)
LAX = Limits(max_accuracy_loss=1.0, min_label_agreement=0.0)
# Row n of these tables is the logits of token n. The second class is ahead by little where
# int8 rounds both logits to the same code, so that its label becomes the first; float16 keeps it.
CLOSE = [100.0, 100.3]
CLEAR = [0.0, 5.0]


def write_graph(folder: Path, table: list[list[float]]) -> Path:
    """ids (batch, length) → the largest logit of each class over the tokens (batch, classes)."""
    weights = {
        "table": np.array(table, dtype=np.float32),
        "length": np.array([1], dtype=np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["states"], name="embedding"),
            helper.make_node("ReduceMax", ["states", "length"], ["logits"], keepdims=0),
        ],
        "words",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(table[0])])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    file = folder / "model.onnx"
    opset = helper.make_opsetid("", 20)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), file)
    return file


def trials(folder: Path, table: list[list[float]], labels: list[int]) -> Trials:
    """On one row per token: its label is at the token's place."""
    ids = [np.array([token], dtype=np.int32) for token in range(len(table))]
    material = Material(task=TASK, rows=TokenRows.of(ids, labels), calibration=[], pad_id=0)
    work = folder / "work"
    work.mkdir()
    return Trials(write_graph(folder, table), material, work)


def attempt(these: Trials, form: str, limits: Limits, *, max_slowdown: float = 1e9) -> Trial:
    return these.attempt(form, limits, max_slowdown=max_slowdown, log=lambda text: None)


def figures(trial: Trial) -> Figures:
    assert trial.made is not None
    return trial.made.figures


@pytest.fixture
def close(tmp_path: Path) -> Trials:
    """200 tokens, 3 of which int8 gets wrong; the label is the second class everywhere."""
    return trials(tmp_path, [CLOSE] * 3 + [CLEAR] * 197, [1] * 200)


def test_what_float32_does(close: Trials) -> None:
    assert close.float32.score == 1.0
    assert close.float32.label_agreement == 1.0


def test_a_form_that_answers_the_same_is_accepted(close: Trials) -> None:
    trial = attempt(close, "float16_embeddings", STRICT)
    assert trial.refused == ()
    assert figures(trial).score == figures(trial).label_agreement == 1.0
    assert figures(trial).size_bytes < close.float32.size_bytes
    assert trial.times_as_slow is not None


def test_lost_accuracy_and_labels_are_named(close: Trials) -> None:
    trial = attempt(close, "int8_embeddings", STRICT)
    assert figures(trial).score == figures(trial).label_agreement == 197 / 200
    assert trial.refused == (
        "it loses 1.50 points of accuracy (0 allowed)",
        "its labels are those of float32 in 98.50 % of the rows (100 % demanded)",
    )
    assert trial.times_as_slow is None  # nothing hangs on it


@pytest.mark.parametrize(
    ("loss", "agreement", "accepted"),
    [(0.015, 0.985, True), (0.014, 0.985, False), (0.015, 0.986, False)],
)
def test_limits_may_be_met_exactly(
    close: Trials, loss: float, agreement: float, accepted: bool
) -> None:
    limits = Limits(max_accuracy_loss=loss, min_label_agreement=agreement)
    assert (attempt(close, "int8_embeddings", limits).refused == ()) == accepted


def test_a_form_may_be_better_than_float32(tmp_path: Path) -> None:
    lucky = trials(tmp_path, [CLOSE, CLEAR, CLEAR], [0, 1, 1])
    trial = attempt(lucky, "int8_embeddings", Limits(max_accuracy_loss=0, min_label_agreement=0))
    assert (lucky.float32.score, figures(trial).score) == (2 / 3, 1.0)
    assert not any("accuracy" in reason for reason in trial.refused)


def test_a_slower_form_is_refused_without_naming_its_time(close: Trials) -> None:
    trial = attempt(close, "float16_embeddings", STRICT, max_slowdown=1e-9)
    assert trial.refused == ("it is more than 1e-09 times as slow as float32",)


def test_a_form_that_is_not_smaller_is_refused(tmp_path: Path) -> None:
    narrow = trials(tmp_path, [[0.0], [1.0]], [0, 0])  # a scale takes more than a code saves
    assert attempt(narrow, "int8_embeddings", STRICT).refused == ("it is not smaller than float32",)


def test_a_form_that_cannot_be_made_is_a_trial_with_its_reason(close: Trials) -> None:
    trial = attempt(close, "static_int8", LAX)
    assert trial.made is None
    assert trial.refused == ("the graph has no layer of the kinds Conv, MatMul",)


def test_logits_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    huge = trials(tmp_path, [[0, 65_504.0], [1, 7e4]] * 40, [1] * 80)
    trial = attempt(huge, "float16_embeddings", LAX)
    assert trial.made is None
    assert "beyond float16" in trial.refused[0]


def test_the_record_says_what_was_tried_and_no_time(close: Trials) -> None:
    limits = Limits(max_accuracy_loss=0.01, min_label_agreement=0.99)
    forms = ("float16_embeddings", "int8_embeddings", "dynamic_int8")
    tried = [attempt(close, form, limits) for form in forms]
    won = smallest(tried)
    record = close.record(tried, limits, won, [reason(trial, won) for trial in tried])
    assert record == json.loads(json.dumps(record))
    assert record["won"] == "float16_embeddings"
    assert (record["rows"], record["max_accuracy_loss"]) == (200, 0.01)
    assert record["float32"]["size_bytes"] == close.float32.size_bytes
    taken, lossy, impossible = record["tried"]
    assert (taken["accepted"], taken["reason"]) == (True, "taken")
    assert (lossy["accepted"], lossy["accuracy"]) == (False, 0.985)
    assert "1.50 points" in lossy["reason"]
    assert impossible == {
        "form": "dynamic_int8",
        "accepted": False,
        "reason": "the graph has no layer of the kinds LSTM, MatMul",
    }
    assert close.record([], limits, None, [])["won"] == "float32"


def test_made_forms_do_not_depend_on_what_was_made_before(close: Trials) -> None:
    first = close.make("int8_embeddings").graph.read_bytes()
    close.make("float16_embeddings")
    assert close.make("int8_embeddings").graph.read_bytes() == first


def test_rows_are_taken_evenly() -> None:
    rows = TokenRows.of([np.array([n], dtype=np.int32) for n in range(10)], range(10))
    assert some_of(rows, 4).labels.tolist() == [0, 2, 5, 7]
    assert some_of(rows, 99).labels.tolist() == list(range(10))
    assert [row.tolist() for row in some_of(rows, 2)] == [[0], [5]]
