"""YAML text: values on one line, a small file, and params.yaml with nothing else changed."""

from pathlib import Path
from typing import Any

import pytest
import yaml as yaml_1_1
from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_sections
from pipelines.onboarding.parameter_changes import Change
from pipelines.onboarding.params_text import as_yaml, commented_values, edited, small_file
from pipelines.onboarding.presets import QUICK
from tests.errors import raises

VALUES = [
    *(None, True, 0.5, 3, "", [], ["a", "b"], "plain", "two words", "  spaces ", "a,b", "[x]"),
    *("yes", "No", "on", "null", "~", "1", "1.0", "1e3", "12:30", "2020-01-01", "a: b", "a #b"),
    *("#x", "- a", "*a", "&a", "!a", "%a", "@a", '"q"', "it's", "é", "好评", "x\ny", "=", "'"),
    "pypi://a==1/b.csv#sha256=ab",
    "a text that is " + "very " * 40 + "long",
    ["yes", "", "n/a", "a, b", "'q'"],
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_read_back_by_both_versions_of_yaml(value: Any) -> None:
    text = f"key: {as_yaml(value)} # the reason\n"
    assert text.count("\n") == 1
    assert YAML(typ="safe").load(text) == {"key": value}
    assert yaml_1_1.safe_load(text) == {"key": value}


def changes(**values: Any) -> list[Change]:
    return [
        Change(path=path.replace("__", "."), value=value, reason="")
        for path, value in values.items()
    ]


def test_a_small_file_has_sections_and_reasons() -> None:
    found = small_file(
        [
            Change(path="ingest.source", value="a.csv", reason="the file"),
            Change(path="distill.training.epochs", value=2, reason="short"),
            Change(path="distill.undistilled_training.epochs", value=3, reason="two\nlines"),
            Change(path="ingest.labels", value=None, reason=""),
        ],
        ["Made here.", ""],
    )
    assert found.splitlines() == [
        "# Made here.",
        "#",
        "",
        "ingest:",
        "  source: a.csv # the file",
        "  labels: null",
        "",
        "distill:",
        "  training:",
        "    epochs: 2 # short",
        "  undistilled_training:",
        "    epochs: 3 # two lines",
    ]


def test_keys_of_one_parent_stand_together_whatever_their_order() -> None:
    found = small_file(changes(a__b__c=1, a__d__e=2, a__b__f=3), [])
    assert YAML(typ="safe").load(found) == {"a": {"b": {"c": 1, "f": 3}, "d": {"e": 2}}}


def test_only_the_values_change() -> None:
    text = (
        "# head\n"
        "a:\n"
        "    x:   # a list\n"
        "      - 1 # one\n"
        "      - 2 # two\n"
        "\n"
        "    # of y\n"
        "    y:\n"
        "    z: # nothing yet\n"
        "    w:  'q'   # quoted\n"
        "    v: [a,\n"
        "        b] # two lines\n"
        'b: {c: "d", e: [1]} # flow\n'
    )
    found = edited(
        text, changes(a__x=["k"], a__y="v", a__z=None, a__w=3, a__v=[], b__c="yes", b__e=None)
    )
    assert found == (
        "# head\n"
        "a:\n"
        "    x:   # a list\n"
        "      [k] # two\n"
        "\n"
        "    # of y\n"
        "    y: v\n"
        "    z: null # nothing yet\n"
        "    w:  3   # quoted\n"
        "    v: [] # two lines\n"
        'b: {c: "yes", e: null} # flow\n'
    )
    assert YAML(typ="safe").load(found) == {
        "a": {"x": ["k"], "y": "v", "z": None, "w": 3, "v": []},
        "b": {"c": "yes", "e": None},
    }


def test_every_value_of_the_shipped_file_can_be_replaced() -> None:
    text = (PROJECT / "params.yaml").read_text("utf-8")
    every = commented_values(PROJECT / "params.yaml")
    assert edited(text, []) == text
    replaced = edited(text, [Change(path=one.path, value=["x"], reason="") for one in every])
    assert len(replaced.splitlines()) == len(text.splitlines())
    back = edited(replaced, every)
    assert YAML(typ="safe").load(back) == YAML(typ="safe").load(text)
    comments = [line.partition(" # ")[2] for line in text.splitlines()]
    assert [line.partition(" # ")[2] for line in back.splitlines()] == comments


def test_a_path_that_is_not_there() -> None:
    with raises("parameter-missing", "'a.c'"):
        edited("a: {b: 1}\n", changes(a__c=1))


def test_the_quick_preset_has_a_reason_for_every_value() -> None:
    preset = commented_values(QUICK)
    assert all(one.reason for one in preset)
    as_dict: dict[str, Any] = {}
    for one in preset:
        *parents, key = one.path.split(".")
        place = as_dict
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = one.value
    assert as_dict == read_sections(QUICK)


def test_comments_of_a_file_are_its_reasons(tmp_path: Path) -> None:
    file = tmp_path / "preset.yaml"
    file.write_text("a:\n  b: 1 # why\n  c: [x] # also\n  d: {e: 2} # inside\nf: 3\n")
    assert [(one.path, one.value, one.reason) for one in commented_values(file)] == [
        ("a.b", 1, "why"),
        ("a.c", ["x"], "also"),
        ("a.d.e", 2, ""),
        ("f", 3, ""),
    ]
