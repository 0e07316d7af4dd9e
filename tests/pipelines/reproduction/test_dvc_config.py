"""Remotes of this checkout in a worktree, as DVC itself reads them."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.reproduction.dvc_config import write_dvc_config
from pipelines.reproduction.rebuild import rebuild
from tests.errors import raises
from tests.planted import leaks


def test_remotes_of_both_files_with_paths_that_still_lead_there(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours" / ".dvc", tmp_path / "deep" / "down" / "theirs" / ".dvc"
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
    (ours / "config").write_text(
        "[core]\n    remote = store\n    autostage = true\n"
        "['remote \"store\"']\n    url = ../../store\n"
        "['remote \"cloud\"']\n    url = s3://bucket/models\n    region = eu\n"
    )
    (ours / "config.local").write_text("['remote \"cloud\"']\n    password = 50%off\n")
    (theirs / "config").write_text("[core]\n    no_scm = true\n")
    write_dvc_config(ours, theirs)
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "config", "--list"],
        cwd=theirs.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {line for line in listed if line.startswith(("remote.", "core."))} == {
        "core.no_scm=true",
        "core.remote=store",
        f"remote.store.url={tmp_path / 'store'}",
        "remote.cloud.url=s3://bucket/models",
        "remote.cloud.region=eu",
        "remote.cloud.password=50%off",
    }
    assert (theirs / "config.local").stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", ["echo made > made.txt", "exit 1"])
def test_a_rebuild_leaves_no_copy_of_the_credentials(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With DVC itself, whose stage works or fails."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    (ours / ".dvc").mkdir(parents=True)
    remote = "['remote \"cloud\"']\n    url = https://host/x\n    password = pl4nted\n"
    (ours / ".dvc" / "config.local").write_text(remote)
    theirs.mkdir()
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=theirs, check=True)
    (theirs / "dvc.yaml").write_text(f"stages:\n  evaluate:\n    cmd: {command}\n")
    monkeypatch.setattr("pipelines.reproduction.rebuild.PROJECT", ours)
    with contextlib.nullcontext() if "echo" in command else raises("command-failed", "repro"):
        rebuild(theirs, from_cache=False)
    assert (theirs / "made.txt").exists() == ("echo" in command)
    assert not leaks(theirs)
