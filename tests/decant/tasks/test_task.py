"""Targets side by side: names, columns, and their JSON."""

import numpy as np
import pytest

from decant.data.corpus import Schema, read_schema, write_schema
from decant.inference.manifest_task import manifest_task
from decant.runtime.artifacts import read_json
from decant.tasks.kinds import kinds, part
from decant.tasks.spec import metrics, typed_options, with_labels
from decant.tasks.task import Target, Task
from tests.decant.tasks.targets import MOOD, SEVERAL, STARS, TOPICS
from tests.errors import raises


def test_several_targets_have_their_logits_side_by_side() -> None:
    outputs = ["mood.bad", "mood.good", "topics.a", "topics.b", "topics.c", "stars"]
    assert list(SEVERAL.outputs) == outputs
    assert [(target.name, columns.start, columns.stop) for target, columns in SEVERAL.parts()] == [
        ("mood", 0, 2),
        ("topics", 2, 5),
        ("stars", 5, 6),
    ]
    assert (SEVERAL.kind, SEVERAL.metric) == ("several", "score")


def test_encoded_labels_belong_to_their_targets() -> None:
    labels = np.arange(10).reshape(2, 5)
    parts = [(target.name, own.tolist()) for target, _, own in with_labels(SEVERAL, labels)]
    assert parts == [
        ("mood", [[0], [5]]),
        ("topics", [[1, 2, 3], [6, 7, 8]]),
        ("stars", [[4], [9]]),
    ]


@pytest.mark.parametrize("task", [Task((MOOD,)), Task((TOPICS,)), Task((STARS,)), SEVERAL])
def test_a_schema_is_read_as_it_was_written(task: Task, tmp_path) -> None:
    schema = Schema(task=task, text_column="text", group_column="film")
    write_schema(tmp_path, schema)
    assert read_schema(tmp_path) == schema


def test_the_schema_of_classes_alone_has_its_old_form(tmp_path) -> None:
    write_schema(tmp_path, Schema(task=Task((MOOD,)), text_column="text"))
    assert read_json(tmp_path / "schema.json") == {
        "group_column": None,
        "label_column": "mood",
        "labels": ["bad", "good"],
        "task": "single_label",
        "text_column": "text",
    }


def test_another_metric_of_classes_is_kept(tmp_path) -> None:
    target = Target(**{**vars(MOOD), "metric": "macro_f1"})
    write_schema(tmp_path, Schema(task=Task((target,)), text_column="text"))
    assert read_schema(tmp_path).task.metric == "macro_f1"


def test_a_manifest_of_format_1_has_classes() -> None:
    assert manifest_task({"labels": ["a", "b"]}) == Task.of_classes(("a", "b"))
    assert manifest_task({"format": 2, "targets": SEVERAL.as_json()}) == SEVERAL


def test_every_kind_has_every_part() -> None:
    assert set(kinds()) >= {"multi_label", "regression", "single_label"}
    for kind in kinds():
        for name in ("spec", "labels", "losses", "scores", "answers"):
            assert part(kind, name).__doc__
        assert metrics(kind)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with raises("task-unknown", "tags", "multi_label, regression, single_label"):
        metrics("tags")
    with pytest.raises(ValueError, match="tags"):
        part("tags", "losses")


def test_bounds_in_the_wrong_order() -> None:
    with raises("parameter-value", "minimum 5", "maximum 1"):
        typed_options(
            "regression", {"minimum": 5.0, "maximum": 1.0, "ordinal": False}, where="ingest.kinds"
        )
