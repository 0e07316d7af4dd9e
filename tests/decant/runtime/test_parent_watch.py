"""A process ends with the one that started it, though that is killed, and a shell is between."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from decant.runtime.process import this_process

CHILD = """
import pathlib, sys, time
from decant.runtime import parent_watch
from decant.runtime.termination import end_on_termination
parent_watch.LOOK_SECONDS = 0.05
end_on_termination()
parent_watch.end_with_parent()
try:
    pathlib.Path("started").write_text("")
    time.sleep(60)
finally:
    pathlib.Path("unwound").write_text("")
"""
PARENT = """
import subprocess, sys
from decant.runtime.parent_watch import children_end_with_this
with children_end_with_this():
    subprocess.run(["sh", "-c", f"{sys.executable} {sys.argv[1]}; true"])
"""


def wait_for(*files: Path) -> None:
    for _ in range(1000):
        if all(file.exists() for file in files):
            return
        time.sleep(0.02)
    raise AssertionError(f"none of {files}")


@pytest.fixture
def child(tmp_path: Path) -> Path:
    file = tmp_path / "child.py"
    root = Path(__file__).parents[3]
    file.write_text(f"import sys; sys.path.insert(0, {str(root)!r})\n{CHILD}")
    return file


def test_killed_with_9(child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", str(root))
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(child)], cwd=tmp_path)
    wait_for(tmp_path / "started")
    below = psutil.Process(parent.pid).children(recursive=True)
    assert len(below) == 2  # the shell, and what it runs
    parent.kill()
    wait_for(tmp_path / "unwound")
    parent.wait()
    assert not psutil.wait_procs(below, timeout=10)[1]


def test_under_dvc(child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names no process of its own, but the stage, and starts a shell."""
    dvc = tmp_path / "dvc"
    dvc.write_text(
        f"import subprocess\nsubprocess.run(['sh', '-c', '{sys.executable} {child}; true'])"
    )
    monkeypatch.setenv("DVC_STAGE", "finetune")
    parent = subprocess.Popen([sys.executable, str(dvc)], cwd=tmp_path)
    wait_for(tmp_path / "started")
    parent.kill()
    wait_for(tmp_path / "unwound")
    parent.wait()


def test_the_parent_was_gone_before_the_child_looked(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = this_process().as_tag().split(" ", 2)
    monkeypatch.setenv("DECANT_PARENT", f"{gone[0]} 1.0 {gone[2]}")  # its number is ours now
    done = subprocess.run([sys.executable, str(child)], cwd=tmp_path, timeout=30, check=False)
    assert done.returncode == 143
    assert (tmp_path / "unwound").exists()


def test_a_parent_of_another_machine_is_not_watched(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container its number means another process, or none."""
    monkeypatch.setenv("DECANT_PARENT", "1 1.0 elsewhere pid:[1]")
    child.write_text(child.read_text("utf-8").replace("time.sleep(60)", "time.sleep(0.5)"))
    done = subprocess.run([sys.executable, str(child)], cwd=tmp_path, timeout=30, check=False)
    assert done.returncode == 0
