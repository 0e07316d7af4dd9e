"""Labels of the corpus as numbers."""

import numpy as np
import pyarrow as pa

from decant.tasks.labels import corpus_fields, encode
from decant.tasks.task import Task
from tests.decant.tasks.targets import MOOD, SEVERAL, STARS, TOPICS

NAN = float("nan")


def batch(**columns: list) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name.replace("__", "."): v for name, v in columns.items()})


def test_classes_alone_are_whole_numbers() -> None:
    labels = encode(Task((MOOD,)), batch(label=["good", None, "bad", "other"]))
    assert labels.dtype == np.int32
    assert labels.tolist() == [1, -1, 0, -1]


def test_a_split_without_labels_has_unknown_ones() -> None:
    assert encode(Task((MOOD,)), batch(text=["x", "y"])).tolist() == [-1, -1]
    assert np.isnan(encode(SEVERAL, batch(text=["x"]))).all()


def test_lists_of_labels() -> None:
    labels = encode(Task((TOPICS,)), batch(label=[["c", "a"], [], None, ["b", "b", "unheard"]]))
    np.testing.assert_array_equal(labels, [[1, 0, 1], [0, 0, 0], [NAN] * 3, [0, 1, 0]])
    assert labels.dtype == np.float32


def test_lists_of_a_slice_of_a_batch() -> None:
    whole = batch(label=[["a"], ["b"], None, ["c"]])
    labels = encode(Task((TOPICS,)), whole.slice(1, 3))
    np.testing.assert_array_equal(labels, [[0, 1, 0], [NAN] * 3, [0, 0, 1]])


def test_numbers_are_in_units_of_their_spread() -> None:
    labels = encode(Task((STARS,)), batch(label=[3.0, 5.0, None, 1.0]))
    np.testing.assert_array_equal(labels, [[0], [1], [NAN], [-1]])


def test_several_targets_side_by_side() -> None:
    rows = batch(label__mood=["good", None], label__topics=[None, ["b"]], label__stars=[None, 4.0])
    assert [field.name for field in corpus_fields(SEVERAL)] == rows.schema.names
    np.testing.assert_array_equal(
        encode(SEVERAL, rows), [[1, NAN, NAN, NAN, NAN], [NAN, 0, 1, 0, 0.5]]
    )
