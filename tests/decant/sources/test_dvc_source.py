"""dvc:// sources, on a repository made here with git and dvc."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from decant import sources
from tests.errors import raises

FIRST, SECOND = b"text,label\na,b\n", b"text,label\nc,d\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/x.csv under DVC in two commits, tagged v1 and v2; plain.txt under Git alone."""
    folder = tmp_path_factory.mktemp("repository")
    environment = {
        **os.environ,
        **{
            f"GIT_{who}_{what}": "a@b"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        "DVC_NO_ANALYTICS": "1",
    }

    def call(*command: str) -> None:
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)

    dvc = (sys.executable, "-m", "dvc")
    call("git", "init", "-q", "-b", "main")
    call(*dvc, "init", "-q")
    (folder / "data").mkdir()
    (folder / "plain.txt").write_text("plain")
    for tag, content in (("v1", FIRST), ("v2", SECOND)):
        (folder / "data" / "x.csv").write_bytes(content)
        call(*dvc, "add", "-q", "data/x.csv")
        call("git", "add", "-A")
        call("git", "commit", "-qm", tag)
        call("git", "tag", tag)
    return folder


def commit(repository: Path, rev: str) -> str:
    command = ["git", "rev-parse", rev]
    return subprocess.run(
        command, cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.slow
def test_file_at_a_revision_and_its_pin(repository: Path) -> None:
    for rev, content in (("v1", FIRST), ("v2", SECOND), ("main", SECOND)):
        uri = f"dvc://{repository}@{rev}/data/x.csv"
        assert sources.fetch(uri).read_bytes() == content
        md5 = hashlib.md5(content).hexdigest()
        assert sources.pin(uri) == f"git:{commit(repository, rev)} md5:{md5}"


@pytest.mark.slow
def test_folder_git_file_and_git_url(repository: Path) -> None:
    folder = sources.fetch(f"dvc://{repository}@v1/data")
    assert (folder / "x.csv").read_bytes() == FIRST
    uri = f"dvc://file://{repository}@v2/plain.txt"
    assert sources.fetch(uri).read_text() == "plain"
    assert sources.pin(uri) == f"git:{commit(repository, 'v2')}"


@pytest.mark.slow
@pytest.mark.parametrize("path", ["data/x.csv", "data"])
def test_a_file_damaged_in_the_cache_of_dvc_is_refused(repository: Path, path: str) -> None:
    """DVC takes a file of its cache by its name."""
    md5 = hashlib.md5(SECOND).hexdigest()
    (cached,) = (repository / ".dvc" / "cache").rglob(md5[2:])
    whole = cached.read_bytes()
    cached.chmod(0o644)
    try:
        cached.write_bytes(whole[:5])
        with raises("sha256-mismatch", "data/x.csv", md5, hashlib.md5(whole[:5]).hexdigest()):
            sources.fetch(f"dvc://{repository}@v2/{path}")
    finally:
        cached.write_bytes(whole)
    assert sources.fetch(f"dvc://{repository}@v2/{path}").exists()


@pytest.mark.slow
def test_what_is_not_there(repository: Path) -> None:
    with raises("source-missing", "'data/none.csv'", str(repository), "v1"):
        sources.pin(f"dvc://{repository}@v1/data/none.csv")
    with raises("source-unreachable", "'v9'"):
        sources.pin(f"dvc://{repository}@v9/data/x.csv")


@pytest.mark.parametrize(
    "uri", ["dvc://repo/data/x.csv", "dvc://repo@/x.csv", "dvc://@main", "dvc://@main/"]
)
def test_uri_without_revision_or_path(uri: str) -> None:
    with raises("uri-invalid", "dvc://REPO@REV/PATH"):
        sources.pin(uri)
