"""Remotes of this checkout in a worktree, as DVC itself reads them."""

import subprocess
import sys
from pathlib import Path

from pipelines.reproduction.dvc_config import write_dvc_config


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
