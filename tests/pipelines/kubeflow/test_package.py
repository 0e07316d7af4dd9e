"""The name of a version, and what a package says of MLflow."""

from pathlib import Path

import pytest

from decant.runtime.identity import PROJECT
from pipelines.kubeflow.compiling import read_package
from pipelines.kubeflow.package import (
    Package,
    PackageOptions,
    check_tracking_uri,
    make_package,
    names_tracking,
    version_name,
)
from tests.errors import raises

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def made(folder: Path, *overrides: str, **options: object) -> Package:
    chosen = {"profile": None, "image": None, "mlflow_uri": None, **options}
    return make_package(
        PackageOptions(params=PROJECT / "params.yaml", overrides=overrides, **chosen),  # type: ignore[arg-type]
        folder,
    )


def test_the_version_says_commit_and_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decant.runtime.git_repository.git_commit", lambda: COMMIT)
    first = made(tmp_path)
    assert first.version == made(tmp_path).version
    others = {
        made(tmp_path, "distill.temperature=7").version,
        made(tmp_path, image="registry.example/steps:2").version,
        made(tmp_path, mlflow_uri="http://mlflow:5000").version,
        made(tmp_path, use_cache=False).version,
    }
    assert len({first.version, *others}) == 5
    monkeypatch.setattr("decant.runtime.git_repository.git_commit", lambda: f"{COMMIT}-dirty")
    assert made(tmp_path).version == first.version.replace("-", "-dirty-")
    assert first.service_account is None
    assert first.pipeline == "decant-distillation"


def test_the_file_is_what_the_digest_covers(tmp_path: Path) -> None:
    package = made(tmp_path, use_cache=False)
    assert read_package(package.file) == package.documents
    assert package.file.suffix == ".yaml"  # by which the server knows what it is


@pytest.mark.parametrize(
    ("commit", "name"),
    [
        (COMMIT, "0123456789ab-d1g3st"),
        (f"{COMMIT}-dirty", "0123456789ab-dirty-d1g3st"),
        ("unknown", "d1g3st"),
        ("", "d1g3st"),
    ],
)
def test_names(commit: str, name: str) -> None:
    assert version_name(commit, "d1g3st") == name


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "file:///srv/mlruns", "mlruns", "./x"])
def test_a_local_store_is_refused(uri: str) -> None:
    with raises("tracking-local", uri):
        check_tracking_uri(uri)


@pytest.mark.parametrize("uri", [None, "http://mlflow:5000", "https://m", "postgresql://db/mlflow"])
def test_a_server_is_not(uri: str | None) -> None:
    check_tracking_uri(uri)


def test_whether_the_steps_know_mlflow(tmp_path: Path) -> None:
    assert not names_tracking(made(tmp_path).documents)
    assert names_tracking(made(tmp_path, mlflow_uri="http://mlflow:5000").documents)
    secret = {"secretAsEnv": [{"keyToEnv": [{"envVar": "MLFLOW_TRACKING_URI"}]}]}
    assert names_tracking([{}, {"platforms": {"kubernetes": secret}}])


def test_a_profile_that_is_not_there(tmp_path: Path) -> None:
    with raises("profile-unknown", "'nonsense'"):
        made(tmp_path, profile="nonsense")
