"""What a KFP task keeps of its run when MLflow is away and its disk goes with the pod."""

import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from decant.runner import kfp_task as kfp_adapter
from decant.runner.kfp_task import run_component
from decant.runtime.reporter import Reporter
from decant.tracking.spool import Spool
from tests.spooling import Store, logged, quiet_reporter, run_step


@pytest.fixture
def reporter(mlflow_store: Store, monkeypatch: pytest.MonkeyPatch) -> Reporter:
    """Of a step that runs in place of the named one."""
    made = quiet_reporter()

    def run(name: str, section: Any, ports: Any) -> Reporter:
        assert (name, section, ports) == ("distill", {"a": 1}, {"onnx": Path("x")})
        run_step(name, reporter=made)
        return made

    monkeypatch.setattr(kfp_adapter, "run_step", run)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    return made


class Metrics(dsl.Metrics):
    """As on a cluster, where minio://... is mounted as /minio/..., but in the test's folder."""

    path = ""


def component(tmp_path: Path) -> tuple[Path, Metrics]:
    metrics = Metrics(uri="minio://pipelines/one/metrics")
    folder = tmp_path / "minio" / "pipelines" / "one" / "metrics"
    metrics.path = str(folder)
    run_component("distill", json.dumps({"a": 1}), {"onnx": "x"}, metrics)
    return folder, metrics


def test_the_run_goes_with_the_tasks_artifact(
    reporter: Reporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DECANT_SPOOL")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    folder, metrics = component(tmp_path)
    (run,) = Spool(str(folder)).runs()
    assert run.record is not None
    assert (run.record.step, run.record.status) == ("distill", "FINISHED")
    assert (Path(run.folder) / "files" / "student" / "card.json").is_file()
    assert metrics.metadata["accuracy"] == 0.8
    assert logged(reporter).count("warning") == 2
    assert "artifact minio://pipelines/one/metrics" in logged(reporter)


def test_a_spool_that_is_named_stays(
    reporter: Reporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    folder, _ = component(tmp_path)
    assert not folder.exists()
    assert len(Spool(str(tmp_path / "spool")).runs()) == 1
    assert logged(reporter).count("warning") == 1


def test_outside_of_a_cluster_the_projects_spool_is_used(
    reporter: Reporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    folder, _ = component(tmp_path)
    assert not folder.exists()
    assert len(Spool(str(tmp_path / "spool")).runs()) == 1
