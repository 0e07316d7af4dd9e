"""DVC's remote and the disks."""

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from pipelines.preflight import storage_check as storage
from pipelines.preflight.check_result import guarded
from pipelines.preflight.storage_check import check_disk, check_dvc_remote


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project with one file under DVC and no remote."""
    folder = tmp_path / "project"
    folder.mkdir()
    dvc(folder, "init", "--no-scm", "--quiet")
    (folder / "data.txt").write_text("rows")
    dvc(folder, "add", "--quiet", "data.txt")
    return folder


def dvc(folder: Path, *words: str) -> None:
    environment = {**os.environ, "DVC_NO_ANALYTICS": "true"}
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True, env=environment)


@pytest.mark.slow
def test_a_dvc_remote(project: Path, tmp_path: Path) -> None:
    assert check_dvc_remote(tmp_path).detail == f"{tmp_path} is not a DVC project"
    assert check_dvc_remote(project).detail == "none is set up"

    dvc(project, "remote", "add", "store", str(tmp_path / "store"))
    before = check_dvc_remote(project)
    assert (before.status, before.detail) == ("warning", "store: answers, has 0 of 1 outputs")
    assert before.hint == "dvc push -r store"

    dvc(project, "push", "--quiet", "-r", "store")
    after = check_dvc_remote(project)
    assert (after.status, after.detail) == ("ok", "store: answers, has 1 of 1 outputs")

    dvc(project, "remote", "add", "web", "http://127.0.0.1:9/dvc")
    assert "none of store, web is the default" in check_dvc_remote(project).detail

    dvc(project, "remote", "default", "web")
    away = guarded("DVC remote", lambda: check_dvc_remote(project))
    assert away.status == "failed"
    assert "127.0.0.1" in away.detail


@pytest.mark.parametrize(
    ("free", "status"), [(0.9e9, "failed"), (1.1e9, "warning"), (10.1e9, "ok")]
)
def test_room_on_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, status: str
) -> None:
    usage = namedtuple("usage", "free")
    requested = []

    def disk_usage(path: str) -> usage:
        requested.append(path)
        return usage(free)

    monkeypatch.setattr(storage.psutil, "disk_usage", disk_usage)
    result = check_disk(tmp_path / "not" / "yet", "disk: cache")
    assert (result.status, requested) == (status, [str(tmp_path)])
    assert result.detail == f"{free / 1e9:.1f} GB free at {tmp_path / 'not' / 'yet'}"
