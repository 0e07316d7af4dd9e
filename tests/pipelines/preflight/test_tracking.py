"""MLflow is really written to, and left as it was."""

import os
import re
from pathlib import Path

import pytest

from pipelines.preflight.check_result import guarded
from pipelines.preflight.tracking_check import check_tracking
from tests.errors import raises
from tests.pipelines.conftest import SECRETS


@pytest.fixture(autouse=True)
def tracking_on(far_from_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_TRACKING", "on")


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"


@pytest.mark.slow
def test_a_store_that_takes_artifacts(store: str, tmp_path: Path) -> None:
    from mlflow.entities import ViewType
    from mlflow.tracking import MlflowClient

    (tmp_path / "store").mkdir()
    result = check_tracking(store, for_cluster=False)
    assert result.status == "ok"
    assert result.detail == f"{store}: an artifact written and deleted"
    client = MlflowClient(store)
    (experiment,) = (one for one in client.search_experiments() if one.name == "decant")
    assert not client.search_runs([experiment.experiment_id])
    (run,) = client.search_runs([experiment.experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert run.info.lifecycle_stage == "deleted"
    assert not list((tmp_path / "store").rglob("*.txt"))
    assert "MLFLOW_TRACKING_URI" not in os.environ


@pytest.mark.slow
def test_a_store_that_does_not(store: str, tmp_path: Path) -> None:
    """The artifacts' folder is a file."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mlruns").write_text("")
    result = guarded("MLflow", lambda: check_tracking(store, for_cluster=False))
    assert result.status == "failed"
    assert "mlruns" in result.detail


def test_a_server_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"http://user:{SECRETS[0]}@127.0.0.1:9"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    result = guarded("MLflow", lambda: check_tracking(None, for_cluster=True))
    assert result.status == "failed"
    assert re.search(r"no answer from 127\.0\.0\.1:9", result.detail)
    assert SECRETS[0] not in str(result)


def test_an_address_of_the_cluster_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")  # a proxy would answer in its place
    host = "mlflow.tracking.svc.cluster.local"
    uri = f"http://{host}:5000"
    result = check_tracking(uri, for_cluster=True)
    assert result.status == "warning"
    assert result.detail.startswith(f"no answer from {host}:5000: ")
    assert "only the cluster reaches this address; not checked: whether MLflow" in result.detail
    assert result.hint.endswith(f"curl -sS {uri}/health")
    with pytest.raises(ConnectionError, match="no answer"):
        check_tracking(uri, for_cluster=False)


def test_what_no_cluster_can_use(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with raises("option-missing", "--mlflow-uri"):
        check_tracking(None, for_cluster=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    with raises("tracking-local", "sqlite:"):
        check_tracking(None, for_cluster=True)


def test_what_the_package_says(store: str) -> None:
    def package(*variables: dict[str, str], **others: object) -> list[dict[str, object]]:
        executors = {"exec-ingest": {"container": {"env": list(variables)}}, "e": {"container": {}}}
        return [{"deploymentSpec": {"executors": executors}}, others]

    local = package({"name": "MLFLOW_TRACKING_URI", "value": store})
    with raises("tracking-local", "sqlite:"):
        check_tracking(None, for_cluster=True, documents=local)
    off = package({"name": "DECANT_TRACKING", "value": "off"})
    assert check_tracking(None, for_cluster=True, documents=off).status == "skipped"
    secret = package(secretAsEnv=[{"keyToEnv": [{"envVar": "MLFLOW_TRACKING_URI"}]}])
    result = check_tracking(None, for_cluster=True, documents=secret)
    assert (result.status, result.detail) == (
        "skipped",
        "its address comes from the cluster's secrets",
    )


def test_tracking_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_TRACKING", "off")
    assert check_tracking("sqlite:///nowhere.db", for_cluster=True).status == "skipped"
