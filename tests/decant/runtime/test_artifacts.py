"""Outputs appear whole or not at all."""

import json
import os
from pathlib import Path

import pytest

from decant.runtime.artifacts import check_targets, read_card, written_whole
from decant.runtime.errors import UserError
from tests.errors import raises


def test_outputs_appear_when_the_block_ends(tmp_path: Path) -> None:
    with written_whole({"out": tmp_path / "deep" / "out"}) as folders:
        (folders["out"] / "file").write_text("new")
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out" / "file").read_text() == "new"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_an_error_leaves_the_old_outputs_and_nothing_else(tmp_path: Path) -> None:
    old = tmp_path / "out"
    old.mkdir()
    (old / "file").write_text("old")
    with pytest.raises(RuntimeError), written_whole({"out": old}) as folders:
        (folders["out"] / "file").write_text("half")
        raise RuntimeError
    assert (old / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_targets_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    for target in (precious, precious / "file"):
        with raises("output-taken", "--corpus", str(target)):
            check_targets({"corpus": target}, {})
    assert (precious / "file").read_text() == "mine"


def test_targets_must_not_overlap_inputs_or_each_other(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "one" / "two"
    for targets, sources in (
        ({"a": one, "b": one}, {}),
        ({"a": one}, {"b": one}),
        ({"a": two}, {"b": one}),
        ({"a": one}, {"b": two}),
    ):
        with raises("port-overlap", "--a", "--b"):
            check_targets(targets, sources)
    check_targets({"a": one, "b": tmp_path / "other"}, {"c": tmp_path / "third"})


def test_a_target_under_a_file_is_an_error_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with (
        raises("path-unwritable", str(tmp_path / "file")),
        written_whole({"a": tmp_path / "file/x"}),
    ):
        pass


def test_a_card_of_another_version_is_an_error_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"step": "ingest"}')
    with raises("artifact-outdated", "card.json"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("lineage", {"student": 1e400}), ("files", {"a": "\ud800"}), ("files", []), ("port", {})],
)
def test_entries_that_no_card_has_are_an_error_of_the_user(
    name: str, value: object, tmp_path: Path
) -> None:
    """With and without the digest that a card of today has."""
    texts = dict.fromkeys(("step", "port", "identity"), "tokens")
    entries: dict[str, object] = {**texts, "varying": False}
    entries |= {one: {} for one in ("params", "inputs", "metrics", "versions")}
    (tmp_path / "card.json").write_text(json.dumps(entries))
    assert read_card(tmp_path).step == "tokens"
    for digest in ({}, {"digest": "0" * 64}):
        (tmp_path / "card.json").write_text(json.dumps(entries | {name: value} | digest))
        with pytest.raises(UserError) as caught:
            read_card(tmp_path)
        assert caught.value.code in ("artifact-outdated", "artifact-damaged")
        assert "card.json" in str(caught.value)


def test_a_folder_without_a_card_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with raises("artifact-missing", "card.json", "dvc repro"):
        read_card(tmp_path)


@pytest.mark.parametrize("renames", range(4))
def test_an_error_between_two_renames_leaves_all_old_outputs(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, SIGTERM, a full disk: old and new names of two ports, four renames."""
    targets = {port: tmp_path / port for port in ("one", "two")}
    for target in targets.values():
        target.mkdir()
        (target / "file").write_text("old")
    rename, left = Path.rename, [renames]

    def interrupted(self: Path, target: Path) -> Path:
        if left[0] == 0:
            left[0] -= 1
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), written_whole(targets) as folders:
        for folder in folders.values():
            (folder / "file").write_text("new")
    assert [(target / "file").read_text() for target in targets.values()] == ["old", "old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_bytes_are_on_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file and folder of an output is synced before it is renamed, its parent after that."""
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted(number: int) -> None:
        events.append(Path(f"/proc/self/fd/{number}").resolve().name)
        fsync(number)

    def renamed(self: Path, target: Path) -> Path:
        events.append("renamed")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Path, "rename", renamed)
    with written_whole({"out": tmp_path / "out"}) as folders:
        (folders["out"] / "deep").mkdir()
        (folders["out"] / "deep" / "file").write_text("new")
        partial = folders["out"].name
    assert events == ["file", "deep", partial, "renamed", tmp_path.name]
