"""A parameter file may hold only what differs: it is laid over params.yaml."""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decant.runtime import identity
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import (
    laid_over,
    merged,
    project_params,
    read_params_file,
    read_sections,
    section_of,
)
from decant.runtime.settings import settings
from tests.errors import raises

BELOW = "seed: 1\nstep: {epochs: 2, list: [1], inner: {x: null, y: 3}, training: {rate: 0.1}}\n"


@settings
class Drawing:
    seed: int
    epochs: int


@settings
class Plain:
    copies: int


@pytest.fixture
def below(tmp_path: Path) -> Path:
    file = tmp_path / "params.yaml"
    file.write_text(BELOW)
    return file


def written(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_mappings_are_merged_and_all_else_is_replaced() -> None:
    content = {"a": {"b": [1, 2], "c": {"d": 1, "e": 2}}, "f": None}
    changed = merged(content, {"a": {"b": [3], "c": {"d": {"x": 1}}}, "f": {"g": 1}, "h": 4})
    assert changed == {"a": {"b": [3], "c": {"d": {"x": 1}, "e": 2}}, "f": {"g": 1}, "h": 4}
    assert content == {"a": {"b": [1, 2], "c": {"d": 1, "e": 2}}, "f": None}


def test_a_small_file_is_laid_over_the_parameters(tmp_path: Path, below: Path) -> None:
    mine = written(tmp_path, "step:\n  list: [3, 4]\n  inner: {x: 5}\n")
    assert read_params_file(mine, below=below) == {
        "seed": 1,
        "step": {
            "epochs": 2,
            "list": [3, 4],
            "inner": {"x": 5, "y": 3},
            "training": {"rate": 0.1},
        },
    }


def test_presets_go_over_the_file_and_overrides_over_presets(tmp_path: Path, below: Path) -> None:
    mine = written(tmp_path, "step: {epochs: 5, inner: {x: 5}}\n")
    preset = written(tmp_path, "step: {epochs: 6, list: []}\n", "preset.yaml")
    content = read_params_file(mine, ["step.list=[7]"], presets=[preset], below=below)
    assert content["step"]["epochs"] == 6
    assert content["step"]["inner"] == {"x": 5, "y": 3}
    assert content["step"]["list"] == [7]


def test_a_file_without_values_changes_nothing(tmp_path: Path, below: Path) -> None:
    assert read_params_file(written(tmp_path, "# nothing yet\n"), below=below) == read_sections(
        below
    )


def test_every_unknown_key_is_named_with_its_value(tmp_path: Path, below: Path) -> None:
    mine = written(tmp_path, "stop: {x: 1}\nstep: {epoch: 3, rate: 0.5, inner: {z: [1]}}\n")
    with raises("parameter-unknown") as caught:
        read_params_file(mine, below=below)
    assert caught.value.problem.splitlines() == [
        f"{mine}: stop: unknown key; known: seed, step; did you mean step?",
        f"{mine}: step.epoch: unknown key (value 3); known: epochs, list, inner, training; "
        "did you mean epochs?",
        f"{mine}: step.rate: unknown key (value 0.5); known: epochs, list, inner, training",
        f"{mine}: step.inner.z: unknown key (value [1]); known: x, y",
    ]
    assert caught.value.hint == "did you mean step.training.rate?"
    with raises("parameter-unknown", "epoch", "value 2"):
        laid_over({"epochs": 1}, {"epoch": 2})


def test_without_a_file_below_the_given_one_stands_alone(tmp_path: Path) -> None:
    mine = written(tmp_path, "anything: {goes: 1}\n")
    assert read_params_file(mine, below=tmp_path / "none.yaml") == {"anything": {"goes": 1}}


def test_the_project_has_the_file_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert project_params() == PROJECT / "params.yaml"
    whole = read_sections(PROJECT / "params.yaml")
    assert read_params_file(PROJECT / "params.yaml") == whole
    mine = written(tmp_path, "distill: {training: {epochs: 7}}\n")
    found = read_params_file(mine)
    assert found["distill"]["training"] == whole["distill"]["training"] | {"epochs": 7}
    assert found["promotion"] == whole["promotion"]
    with raises("parameter-unknown", "distill.epochs", "value 7", "distill.training.epochs"):
        read_params_file(written(tmp_path, "distill: {epochs: 7}\n"))
    monkeypatch.setattr(identity, "PROJECT", tmp_path)
    assert project_params() == tmp_path / "params.yaml"


def test_overrides_are_yaml_and_must_name_what_exists(below: Path) -> None:
    overrides = ["step.epochs=5", "step.inner.x=1e-4", "seed=7", "step.list=[3, 4]"]
    content = read_params_file(below, overrides, below=below)
    assert content["seed"] == 7
    assert content["step"]["epochs"] == 5
    assert content["step"]["list"] == [3, 4]
    assert content["step"]["inner"] == {"x": 0.0001, "y": 3}
    for bad, code, value in (
        ("step.epoch=1", "parameter-unknown", "'step.epoch'"),
        ("step.rate=1", "parameter-unknown", "step.training.rate"),
        ("step.epoch=1", "parameter-unknown", "did you mean epochs? allowed here: epochs, list"),
        ("stop.epochs=1", "parameter-unknown", "'stop'"),
        ("stop.epochs=1", "parameter-unknown", "did you mean step? sections: step"),
        ("step.epochs", "override-invalid", "'step.epochs'"),
        ("=1", "override-invalid", "'=1'"),
        ("step.epochs=[1", "override-invalid", "'[1'"),
    ):
        with raises(code, value):
            read_params_file(below, [bad], below=below)


def test_a_missing_or_broken_file_is_an_error_of_the_user(tmp_path: Path) -> None:
    with raises("file-missing", "none.yaml", "--params"):
        read_params_file(tmp_path / "none.yaml")
    with raises("file-invalid", "mine.yaml", "line 1"):
        read_params_file(written(tmp_path, "a: [1\n"))
    with raises("file-invalid", "mine.yaml", "list"):
        read_params_file(written(tmp_path, "[1]\n"))


def test_the_shared_seed_reaches_only_steps_that_draw() -> None:
    content = {"seed": 3, "step": {"epochs": 1}, "inner": {"copies": 1}}
    assert section_of(content, "step", Drawing) == {"epochs": 1, "seed": 3}
    assert section_of(content, "inner", Plain) == {"copies": 1}
    with raises("parameter-missing", "'seed'"):
        section_of({"step": {}}, "step", Drawing)


# Without control characters, which YAML has only as escapes.
TEXT = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=8
)
SCALAR = st.none() | st.booleans() | st.integers() | TEXT | st.floats(-1e9, 1e9)
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
TREE = st.recursive(
    VALUE, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
SECTIONS = st.dictionaries(st.sampled_from("abc"), TREE, max_size=3)


@given(VALUE)
def test_a_value_comes_through_an_override_as_it_was_written(value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder), "step: {inner: {x: 1}, y: 2}\n")
        override = f"step.inner.x={json.dumps(value, ensure_ascii=False)}"
        content = read_params_file(file, [override], below=Path(folder, "none.yaml"))
    assert content == {"step": {"inner": {"x": value}, "y": 2}}


@given(SECTIONS, SECTIONS)
def test_merging_again_changes_nothing_and_spares_its_arguments(
    content: dict[str, Any], over: dict[str, Any]
) -> None:
    before = copy.deepcopy((content, over))
    once = merged(content, over)
    assert merged(once, over) == once
    assert merged(content, {}) == content
    assert (content, over) == before
