"""What is computed once: whole or not at all, and believed only as it was written."""

from pathlib import Path

import pytest

from decant.runtime import cache_folder
from decant.runtime.cache_folder import is_intact, write_once
from decant.runtime.identity import content_digest
from decant.runtime.log_lines import logged_by
from tests.damages import DAMAGES, Damage


def write(file: Path) -> None:
    write_once(file, lambda partial: partial.write_bytes(b"0123456789") and None)


def test_a_file_is_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file"
    assert not is_intact(file)
    write(file)
    assert is_intact(file) and file.read_bytes() == b"0123456789"
    assert {path.name for path in file.parent.iterdir()} == {"file", "file.sha256"}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", ["file", "file.sha256"])
def test_a_damaged_file_is_reported_and_removed(
    part: str, damage: Damage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write(file)
    damage(tmp_path / part)
    monkeypatch.setattr(cache_folder, "_VERIFIED", {})  # as in another process
    lines: list[str] = []
    with logged_by(lines.append):
        assert not is_intact(file)
    assert not file.exists()
    if (part, damage) != ("file", Path.unlink):
        assert len(lines) == 1 and str(file) in lines[0]
    write(file)
    assert is_intact(file)


@pytest.mark.parametrize("damage", DAMAGES[:3])
def test_a_folder_is_whole_too(damage: Damage, tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").write_bytes(b"0123456789")

    folder = tmp_path / "folder"
    write_once(folder, fill)
    assert is_intact(folder)
    damage(folder / "weights")
    assert not is_intact(folder) and not folder.exists()
    write_once(folder, fill)
    assert is_intact(folder)


def test_a_file_is_read_whole_once_per_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write(file)
    monkeypatch.setattr(cache_folder, "_VERIFIED", {})
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return content_digest(path)

    monkeypatch.setattr(cache_folder, "content_digest", counted)
    assert [is_intact(file) for _ in range(3)] == [True] * 3
    assert read == [file]


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        partial.write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_once(tmp_path / "file", fail)
    assert not list(tmp_path.iterdir())
