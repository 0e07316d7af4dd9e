"""The package, and the server's version."""

import copy
from pathlib import Path

import pytest

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT
from pipelines.kubeflow.authentication import find_credentials
from pipelines.kubeflow.connection import open_connection
from pipelines.kubeflow.package import Package, PackageOptions, make_package
from pipelines.preflight.check_result import Result, guarded
from pipelines.preflight.package_check import (
    check_package,
    check_parameters,
    check_version_is_clean,
    images_of,
)
from pipelines.preflight.server_check import check_credentials, check_version, compare_versions
from tests.errors import raises
from tests.pipelines.conftest import SECRETS
from tests.pipelines.kfp_server import KfpServer

OPTIONS = PackageOptions(
    params=PROJECT / "params.yaml", overrides=(), profile=None, image=None, mlflow_uri=None
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_package(OPTIONS, tmp_path_factory.mktemp("package"))


def test_parameters() -> None:
    assert check_parameters(OPTIONS).detail == f"{PROJECT / 'params.yaml'}: 8 steps, all valid"
    wrong = PackageOptions(
        params=OPTIONS.params,
        overrides=("distill.training.epochs=-1",),
        profile=None,
        image=None,
        mlflow_uri=None,
    )
    with raises("parameter-value", "distill.training.epochs", "-1"):
        check_parameters(wrong)


def test_a_package(package: Package) -> None:
    result = check_package(package)
    assert result.status == "ok"
    assert result.detail == f"decant-distillation, 8 executors, version {package.version}"
    assert len(images_of(package)) == 1


@pytest.mark.parametrize("place", ["command", "args"])
def test_a_package_that_installs(package: Package, place: str) -> None:
    documents = copy.deepcopy(package.documents)
    container = documents[0]["deploymentSpec"]["executors"]["exec-distill"]["container"]
    container[place] = [*container.get(place, []), "python3 -m pip install --quiet 'kfp==2.17.0'"]
    changed = Package(**{**vars(package), "documents": documents})
    result = check_package(changed)
    assert (result.status, result.detail) == (
        "failed",
        "installs packages when it runs: exec-distill",
    )


@pytest.mark.parametrize(
    ("version", "status"),
    [("0123456789ab-d1", "ok"), ("0123456789ab-dirty-d1", "warning"), ("d1", "warning")],
)
def test_the_commit(package: Package, version: str, status: str) -> None:
    changed = Package(**{**vars(package), "version": version})
    assert check_version_is_clean(changed).status == status


@pytest.mark.parametrize(
    ("server", "status"),
    [
        ("2.17.0", "ok"),
        ("v2.18.1", "ok"),
        ("2.16.4", "warning"),
        ("2.2.0", "warning"),
        ("1.8.22", "failed"),
        ("3.0.0", "failed"),
        ("unknown", "skipped"),
        ("", "skipped"),
    ],
)
def test_versions(server: str, status: str) -> None:
    assert compare_versions(server, "2.17.0").status == status


def test_the_server_says_its_version(server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.api.tag_name = "2.3.0"
    server.tokens = {SECRETS[0]}
    monkeypatch.setenv("DECANT_KFP_TOKEN", SECRETS[0])
    connection = open_connection(server.url, find_credentials("auto", host=server.url))
    assert "server 2.3.0, SDK 2.17" in check_version(connection).detail
    assert check_credentials(connection).detail == "token: may list experiments"
    server.tokens = set()
    with raises("cluster-access-denied", "HTTP 401"):
        check_credentials(connection)


def test_a_check_that_breaks_off_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:{SECRETS[0]}@mlflow")

    def broken() -> Result:
        raise OSError(28, f"No space\nleft for {SECRETS[0]}")

    assert guarded("disk", broken) == Result(
        name="disk", status="failed", detail="OSError: [Errno 28] No space left for ***"
    )

    def refused() -> Result:
        raise UserError("no\nroom", code="path-unwritable", hint="make some")

    assert guarded("disk", refused) == Result(
        name="disk", status="failed", detail="no room", hint="make some"
    )


def test_paths_are_not_needed(tmp_path: Path) -> None:
    missing = PackageOptions(
        params=tmp_path / "params.yaml", overrides=(), profile=None, image=None, mlflow_uri=None
    )
    assert guarded("parameters", lambda: check_parameters(missing)).status == "failed"
