"""What a killed process leaves is removed; what a living one needs is not."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from decant.runtime import cache_folder
from decant.runtime.artifacts import written_whole
from decant.runtime.cache_folder import write_once
from decant.runtime.litter import (
    is_left,
    mark,
    sweep,
    temporary_files_together,
    temporary_folders,
)
from decant.runtime.log_lines import logged_by

WRITER = """
import sys
from pathlib import Path
from decant.runtime.artifacts import written_whole
from decant.runtime.cache_folder import write_once
from decant.runtime.litter import temporary_folder

def wait(partial):
    partial.write_text("half")
    print("writes", flush=True)
    sys.stdin.read()

root = Path(sys.argv[1])
with written_whole({"out": root / "out"}) as folders, temporary_folder("fit") as folder:
    (folders["out"] / "model").write_text("half")
    (folder / "weights").write_text("half")
    write_once(root / "cache" / "shard", wait)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder, here and in what is started."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@contextmanager
def writer(root: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process in the middle of writing."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "writes\n"
        try:
            yield process
        finally:
            process.kill()


def litter(root: Path) -> list[str]:
    """Whose process is told by the names, the names without it."""
    found = [*root.glob(".*"), *(root / "cache").glob(".*"), *(root / "tmp").iterdir()]
    return sorted(str(path.relative_to(root)).replace(mark(), "MINE") for path in found)


def test_the_next_one_removes_it_where_its_process_is_gone(tmp_path: Path, temporary: Path) -> None:
    with writer(tmp_path):
        first = litter(tmp_path)
        assert len(first) == 3
    with writer(tmp_path) as alive:
        second = set(litter(tmp_path)) - set(first)
        # It has removed what the first one left beside the output and in the cache.
        assert len(second) == 3
        assert len(litter(tmp_path)) == 4
        lines: list[str] = []
        with logged_by(lines.append):
            assert len(sweep(temporary_folders())) == 1
            with written_whole({"out": tmp_path / "out"}) as folders:
                (folders["out"] / "model").write_text("whole")
            write_once(tmp_path / "cache" / "shard", lambda partial: _write(partial, "whole"))
        assert len(lines) == 1 and str(temporary) in lines[0]
        assert set(litter(tmp_path)) == second
        assert (tmp_path / "out" / "model").read_text() == "whole"
        assert alive.poll() is None


def test_an_output_that_was_set_aside_comes_back(tmp_path: Path) -> None:
    """kill -9 between the two renames of an output: its next run may fail too."""
    aside = tmp_path / f".out.old-{mark().replace(str(os.getpid()), '1', 1)}"
    aside.mkdir()
    (aside / "model").write_text("old")
    lines: list[str] = []
    with (
        logged_by(lines.append),
        pytest.raises(RuntimeError),
        written_whole({"out": tmp_path / "out"}),
    ):
        raise RuntimeError
    assert (tmp_path / "out" / "model").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(lines) == 1 and str(tmp_path / "out") in lines[0]


@pytest.mark.parametrize("hours", [23, 25])
@pytest.mark.parametrize("name", [".out.partial-1234", ".out.partial-1234-1700000000-00000000"])
def test_of_another_machine_a_day_decides(hours: int, name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    (folder / "deep").mkdir(parents=True)
    before = time.time() - hours * 3600
    for path in (folder / "deep", folder):
        os.utime(path, (before, before))
    assert is_left(folder) == (hours > 24)
    (folder / "deep" / "file").write_text("")  # it works there
    assert not is_left(folder)


def test_a_name_of_another_program_is_not_touched(tmp_path: Path, temporary: Path) -> None:
    (temporary / "decant-my-own-data").mkdir()
    hidden = tmp_path / "cache" / ".mine.txt"
    hidden.parent.mkdir()
    hidden.write_text("")
    for path in (temporary / "decant-my-own-data", hidden):
        os.utime(path, (0, 0))
    assert not list(temporary_folders())
    cache_folder._sweep_once.cache_clear()
    write_once(tmp_path / "cache" / "shard", lambda partial: _write(partial, "whole"))
    assert hidden.exists()


def _write(file: Path, text: str) -> None:
    file.write_text(text)


LIBRARY = """
import sys, tempfile
from decant.runtime.litter import temporary_files_together
with temporary_files_together("register"):
    open(tempfile.mkdtemp() + "/half", "w").close()
    print("writes", flush=True)
    sys.stdin.read()
"""


def test_what_libraries_leave_is_found_too(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LIBRARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "writes\n"
        assert len(list(temporary.rglob("half"))) == 1
        assert sweep(temporary_folders()) == [], "it runs"
        process.kill()
    sweep(temporary_folders())
    assert not list(temporary.iterdir())


def test_libraries_temporary_files_go_with_the_block(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with temporary_files_together("register"):
        assert Path(tempfile.mkdtemp()).parent.parent == temporary
    assert not list(temporary.iterdir())
    assert Path(tempfile.gettempdir()) == temporary
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkdtemp", lambda prefix: Path("/dev/full").write_text("x"))
        with temporary_files_together("register"):
            assert Path(tempfile.gettempdir()) == temporary
