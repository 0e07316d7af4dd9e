"""What an exported model answers, by the kind of its target; and manifests that are refused."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from decant import Labels, Number, Prediction, TextClassifier
from decant.inference.classifier import OnnxClassifier
from decant.tasks.answers import answerer, cells, columns
from decant.tasks.task import Task
from tests.errors import raises
from tests.word_models import CLASSES, EMOTIONS, STARS, TASKS, write_manifest, write_word_model

TEXTS = ["a good film", "a dull film", "the film it"]  # five tokens each, [CLS] and [SEP] too


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


@pytest.fixture(params=TASKS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    targets, weights = TASKS[request.param]
    return write_word_model(tmp_path / request.param, weights, targets)


def answers_of(kind: str, folder: Path) -> list[Any]:
    targets, weights = TASKS[kind]
    return TextClassifier.load(write_word_model(folder, weights, targets)).predict(TEXTS)


def test_one_of_the_classes(tmp_path: Path) -> None:
    good, dull, neither = answers_of("single_label", tmp_path)
    assert (good.label, dull.label, neither.label) == ("positive", "negative", "negative")
    assert [good.score, dull.score, neither.score] == pytest.approx([sigmoid(4), sigmoid(4), 0.5])


@pytest.mark.parametrize("classes", [2, 3, 7, 8, 9, 40])
def test_one_text_has_bit_for_bit_the_answer_that_it_has_among_others(classes: int) -> None:
    """The arrays are left out for one row, and NumPy adds few numbers otherwise than many."""
    dice = np.random.default_rng(classes)
    names = tuple(f"class {index}" for index in range(classes))
    answer = answerer(Task.of_classes(names))
    rows = dice.normal(scale=4, size=(500, classes)).astype(np.float32)
    rows = np.concatenate([rows, np.round(rows), rows * np.float32(1e-20)])  # ties, and nearly so
    assert [answer(row[np.newaxis])[0] for row in rows] == answer(rows)
    assert answer(rows)[0].score == pytest.approx(
        math.exp(max(rows[0])) / sum(map(math.exp, rows[0].tolist()))
    )


def test_labels_from_their_thresholds_on(tmp_path: Path) -> None:
    """A telling word is a logit of 4; the thresholds are the logits 1 and 2."""
    good, dull, neither = answers_of("multi_label", tmp_path)
    assert (good.labels, dull.labels, neither.labels) == (("joy",), ("grief",), ())
    assert good.scores == pytest.approx({"joy": sigmoid(4), "grief": 0.5})
    mixed = TextClassifier.load(tmp_path).predict(["good sad sad film it a"])  # eight tokens
    assert mixed[0].labels == ("grief", "joy"), "2.5 and 5: the most probable first"


def test_numbers_in_the_unit_of_the_data_within_its_bounds(tmp_path: Path) -> None:
    good, dull, neither = answers_of("regression", tmp_path)
    # a logit of 0.5 is one star above the three in the middle; -2 would be one star below one
    assert [good.value, dull.value, neither.value] == pytest.approx([4.0, 1.0, 3.0])


def test_of_several_targets_the_answer_of_each(tmp_path: Path) -> None:
    each = {kind: answers_of(kind, tmp_path / kind) for kind in TASKS}
    for row, answer in enumerate(each["several"]):
        assert list(answer) == ["tone", "emotions", "stars"]
        assert answer["tone"] == each["single_label"][row]
        assert answer["emotions"] == each["multi_label"][row]
        assert answer["stars"] == each["regression"][row]
    assert [type(one) for one in each["several"][0].values()] == [Prediction, Labels, Number]


def test_an_answer_does_not_depend_on_its_neighbours_nor_on_a_batch(model: Path) -> None:
    classifier = TextClassifier.load(model)
    texts = [*TEXTS, "", "a dull story of a sad, sad actor " * 20]
    assert classifier.predict(texts) == [classifier.predict([text])[0] for text in texts]
    assert classifier.predict(texts) == classifier.predict(texts, batch_size=3)
    assert classifier.predict([]) == []


def test_the_cells_have_the_announced_names_and_types_and_are_json(model: Path) -> None:
    classifier = OnnxClassifier(model)
    announced = columns(classifier.task)
    for answer in classifier.predict(TEXTS):
        found = cells(classifier.task, answer)
        assert {key: type(cell) for key, cell in found.items()} == announced
        assert json.loads(json.dumps(found)) == found


def test_labels_are_a_name_per_logit(tmp_path: Path) -> None:
    targets, weights = TASKS["several"]
    classifier = OnnxClassifier(write_word_model(tmp_path, weights, targets))
    assert classifier.labels == (
        "tone.negative",
        "tone.positive",
        "emotions.joy",
        "emotions.grief",
        "stars",
    )
    assert classifier.logits(TEXTS).shape == (3, 5)


@pytest.mark.parametrize("number", [None, 1])
def test_a_manifest_of_format_1_has_labels_alone(tmp_path: Path, number: int | None) -> None:
    targets, weights = TASKS["single_label"]
    expected = TextClassifier.load(write_word_model(tmp_path, weights, targets)).predict(TEXTS)
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    del manifest["targets"], manifest["format"]
    write_manifest(tmp_path, manifest | ({} if number is None else {"format": number}))
    classifier = TextClassifier.load(tmp_path)
    assert classifier.labels == ("negative", "positive")
    assert classifier.predict(TEXTS) == expected


CLASS, EMOTION, STAR = (target.as_json() for target in (CLASSES, EMOTIONS, STARS))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 3}, ["format 3", "up to 2", "newer"]),
        ({"format": "two"}, ["damaged", "format"]),
        ({"targets": [CLASS | {"kind": "tags"}]}, ["'tone'", "'tags'", "newer"]),
        ({"targets": []}, ["damaged"]),
        ({"targets": None}, ["damaged"]),
        ({"targets": [{"name": "tone"}]}, ["damaged", "'outputs' is missing"]),
        ({"targets": [CLASS, CLASS]}, ["damaged", "twice"]),
        ({"targets": [CLASS | {"outputs": "np"}]}, ["damaged"]),
        ({"targets": [CLASS | {"outputs": ["positive", "negative"]}]}, ["damaged", "labels"]),
        ({"targets": [EMOTION | {"facts": {}}], "labels": ["joy", "grief"]}, ["'threshold'"]),
        ({"targets": [STAR | {"facts": {}}], "labels": ["stars"]}, ["'scale' is missing"]),
        ({"targets": [STAR], "labels": ["stars"]}, ["2 outputs", "1", "not of one model"]),
        ({"pad_id": None}, ["pad_id"]),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    targets, weights = TASKS["single_label"]
    write_word_model(tmp_path, weights, targets)
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    write_manifest(tmp_path, manifest | changes)
    with raises("model-unreadable", str(tmp_path), *words):
        TextClassifier.load(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"labels": ["a", "b"]', '{"pad_id": 0}'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: str) -> None:
    targets, weights = TASKS["single_label"]
    write_word_model(tmp_path, weights, targets)
    (tmp_path / "manifest.json").write_text(content, "utf-8")
    with raises("model-unreadable", str(tmp_path), "its manifest"):
        TextClassifier.load(tmp_path)
