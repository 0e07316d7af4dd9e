"""Outputs appear whole or not at all."""

from pathlib import Path

import pytest

from components.shared.artifacts import read_card, written_whole
from components.shared.errors import UserError


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


def test_a_folder_without_a_card_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no artifact.*\n.*dvc repro"):
        read_card(tmp_path)
