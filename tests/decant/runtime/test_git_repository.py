"""Why git gives no commit, in real repositories."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from decant.runtime import git_repository, identity
from decant.runtime.git_repository import commit_problem, git_commit
from pipelines.reproduction.checkout import absent, committed
from tests.errors import assert_error, raises

PERSON = ["-c", "user.name=test", "-c", "user.email=test@example.org"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits, taken for the project's."""
    for name in [name for name in os.environ if name.startswith("GIT_")] + ["DECANT_COMMIT"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "repository"
    folder.mkdir()
    run(folder, "init", "-q")
    for text in ("seed: 1\n", "seed: 2\n"):
        (folder / "params.yaml").write_text(text)
        run(folder, "add", ".")
        run(folder, *PERSON, "commit", "-q", "-m", text)
    use(folder, monkeypatch)
    return folder


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "PROJECT", folder)
    git_repository._commit.cache_clear()


@pytest.fixture(autouse=True)
def forgotten() -> object:
    yield
    git_repository._commit.cache_clear()


def test_a_folder_of_another_user(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = git_commit()
    assert commit == run(repository, "rev-parse", "HEAD") and commit_problem() is None
    git_repository._commit.cache_clear()
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("HOME", "/nonexistent")  # no safe.directory of the machine
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    assert git_commit() == "unknown"
    problem = commit_problem()
    assert problem
    told = ["dubious ownership", f"--add safe.directory {repository}"]
    assert_error(problem, "repository-untrusted", *told)
    refused = absent(commit)
    assert refused
    assert_error(refused, "repository-untrusted", *told)


def test_a_shallow_clone(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(repository, "rev-list", "--max-parents=0", "HEAD")
    missing = absent("0" * 40)
    assert missing
    assert_error(missing, "commit-unknown", "0" * 40, "git fetch --all")
    assert absent(first) is None and committed(first, "params.yaml") == b"seed: 1\n"
    run(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    use(tmp_path / "shallow", monkeypatch)
    problem = absent(first)
    assert problem
    assert_error(problem, "commit-unknown", first, "git fetch --unshallow")
    assert git_commit() == run(repository, "rev-parse", "HEAD")


def test_no_repository_no_commit_and_no_git(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(repository / ".git")
    problem = commit_problem()
    assert problem
    assert_error(problem, "repository-missing", "not a git repository", "clone", "DECANT_COMMIT")
    run(repository, "init", "-q")
    git_repository._commit.cache_clear()
    empty = commit_problem()
    assert empty and empty.code == "repository-missing" and "commit" in empty.hint
    monkeypatch.setenv("PATH", str(tmp_path))
    with raises("program-missing", "git"):
        git_repository.git("status")
    git_repository._commit.cache_clear()
    monkeypatch.setenv("DECANT_COMMIT", "c0ffee")
    assert (git_commit(), commit_problem()) == ("c0ffee", None)
