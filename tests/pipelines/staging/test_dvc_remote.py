"""Data that DVC has: pushed to its remote, and read from a clone, as a pod does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from decant import sources
from decant.runtime.identity import content_digest
from pipelines.profiles.profile import Profile
from pipelines.staging.place_sources import place_sources
from tests.errors import raises
from tests.pipelines.staging.conftest import ROWS, ingest_params

pytestmark = pytest.mark.slow
WHO = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class Project:
    """A DVC project whose Git and DVC remotes are folders on the claim `team`."""

    folder: Path
    shared: Path
    profile: Profile

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **WHO, "DVC_NO_ANALYTICS": "1"},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def dvc(self, *arguments: str) -> str:
        return self.call(sys.executable, "-m", "dvc", *arguments)

    def commit(self, *, push: bool = True) -> str:
        self.call("git", "add", "-A")
        self.call("git", "commit", "-qm", "x")
        if push:
            self.call("git", "push", "-q", "origin", "HEAD")
        return self.call("git", "rev-parse", "HEAD")

    @property
    def objects(self) -> set[str]:
        """What the DVC remote has."""
        store = self.shared / "store"
        return {one.relative_to(store).as_posix() for one in store.rglob("*") if one.is_file()}


@pytest.fixture
def project(tmp_path: Path, profile_with: Callable[[str], Profile]) -> Project:
    folder, shared = tmp_path / "project", tmp_path / "shared"
    profile = profile_with(f"all: {{volumes: {{team: {{path: {shared}}}}}}}")
    (folder / "data" / "corpus").mkdir(parents=True)
    (folder / "data" / "encoder").mkdir()
    found = Project(folder, shared, profile)
    found.call("git", "init", "-q", "--bare", str(shared / "repo.git"))
    found.call("git", "init", "-q", "-b", "main")
    found.call("git", "remote", "add", "origin", str(shared / "repo.git"))
    found.dvc("init", "-q")
    found.dvc("remote", "add", "-q", "--default", "team", str(shared / "store"))
    (folder / "data" / "corpus" / "README.md").write_text("notes")
    (folder / "data" / "corpus" / "reviews.csv").write_bytes(ROWS)
    (folder / "data" / "encoder" / "config.json").write_text("{}")
    (folder / "data" / "encoder" / "model.bin").write_bytes(b"weights")
    found.dvc("add", "-q", "data/corpus/reviews.csv", "data/encoder")
    found.commit()
    return found


def test_what_dvc_has_is_pushed_once_and_read_from_a_clone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    commit = project.call("git", "rev-parse", "HEAD")
    params = ingest_params(source="data/corpus/reviews.csv", encoder="data/encoder")
    placed = place_sources(params, project.profile, None)
    start = f"dvc://file://{project.shared}/repo.git@{commit}"
    assert placed.params.source == f"{start}/data/corpus/reviews.csv"
    assert placed.params.encoder == f"{start}/data/encoder"
    assert placed.pins["source"].startswith(f"git:{commit} md5:")
    assert project.objects == set()
    assert [one.send() for one in placed.deliveries.values()] == [True, True]
    assert len(project.objects) == 4  # three files, and the list of the encoder's
    assert [one.send() for one in placed.deliveries.values()] == [False, False]
    encoder = content_digest(project.folder / "data" / "encoder")
    shutil.rmtree(project.folder)  # a pod does not have it
    monkeypatch.chdir(project.shared)
    assert sources.fetch(placed.params.source).read_bytes() == ROWS
    assert content_digest(sources.fetch(placed.params.encoder)) == encoder


def test_a_folder_of_several_outputs_and_files_of_git(project: Project) -> None:
    corpus = project.folder / "data" / "corpus"
    placed = place_sources(ingest_params(source=str(corpus)), project.profile, None)
    (delivery,) = placed.deliveries.values()
    assert delivery.send() is True
    names = {one.name for one in sources.fetch(delivery.uri).iterdir()}
    assert names == {"README.md", "reviews.csv", ".gitignore"}


def test_a_revision_of_this_project_is_named_by_its_clone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dvc://@REV/PATH is the image's own project on a pod, which has neither Git nor data."""
    monkeypatch.setattr("decant.sources.dvc.PROJECT", project.folder)
    commit = project.call("git", "rev-parse", "HEAD")
    (project.folder / "data" / "corpus" / "reviews.csv").write_bytes(b"changed since")
    params = ingest_params(source="dvc://@main/data/corpus/reviews.csv")
    placed = place_sources(params, project.profile, None)
    assert placed.params.source == (
        f"dvc://file://{project.shared}/repo.git@{commit}/data/corpus/reviews.csv"
    )
    (delivery,) = placed.deliveries.values()
    assert delivery.send() is True
    assert sources.fetch(placed.params.source).read_bytes() == ROWS


def test_the_staging_place_comes_first(project: Project) -> None:
    params = ingest_params(source=str(project.folder / "data" / "corpus" / "reviews.csv"))
    placed = place_sources(params, project.profile, str(project.shared / "staging"))
    assert placed.params.source.startswith("file://")


def test_what_pods_would_not_find_is_refused_with_the_reason(project: Project) -> None:
    file = project.folder / "data" / "corpus" / "reviews.csv"
    params = ingest_params(source=str(file))
    with raises("source-local", str(file), f"folder {project.shared}/repo.git"):
        place_sources(params, None, None)  # no claim
    file.write_bytes(ROWS + b"one more,1\n")
    with raises("source-local", "differs from the commit", "reviews.csv", "dvc add"):
        place_sources(params, project.profile, None)
    project.dvc("add", "-q", "data/corpus/reviews.csv")
    project.commit(push=False)
    with raises("source-local", "git push"):
        place_sources(params, project.profile, None)
    project.call("git", "push", "-q", "origin", "HEAD")
    assert place_sources(params, project.profile, None).deliveries
    new = file.with_name("new.csv")
    new.write_bytes(ROWS)
    with raises("source-local", str(new), "does not have it"):
        place_sources(ingest_params(source=str(new)), project.profile, None)
    project.dvc("remote", "modify", "team", "version_aware", "true")
    project.commit()
    with raises("source-local", "version_aware"):
        place_sources(params, project.profile, None)
    project.dvc("remote", "remove", "team")
    project.commit()
    with raises("source-local", "dvc remote add --default"):
        place_sources(params, project.profile, None)


def test_data_that_dvc_2_added(project: Project) -> None:
    """Its hashes have no name in the .dvc file, and its objects another place."""
    file = project.folder / "data" / "corpus" / "reviews.csv"
    out = file.with_name("reviews.csv.dvc")
    out.write_text(out.read_text().replace("  hash: md5\n", ""))
    project.dvc("commit", "-q", "--force", str(out))
    project.commit()
    placed = place_sources(ingest_params(source=str(file)), project.profile, None)
    (delivery,) = placed.deliveries.values()
    assert delivery.send() is True
    assert delivery.is_there()
    assert sources.fetch(delivery.uri).read_bytes() == ROWS


def test_a_cache_that_lacks_the_data(project: Project) -> None:
    file = project.folder / "data" / "corpus" / "reviews.csv"
    placed = place_sources(ingest_params(source=str(file)), project.profile, None)
    shutil.rmtree(project.folder / ".dvc" / "cache")
    (delivery,) = placed.deliveries.values()
    with raises("staging-failed", "lacks 1 objects", "dvc push"):
        delivery.send()
