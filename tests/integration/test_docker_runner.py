"""The whole DAG in real containers makes the artifacts that subprocesses make."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from decant.runtime.artifacts import read_json, read_sidecar
from decant.runtime.identity import PROJECT, content_digest
from decant.runtime.steps import STEPS, load_step
from pipelines.local_run.docker_runner import RUN_LABEL
from pipelines.local_run.pipeline_run import artifact_folder
from tests.integration.checkout import write_data

pytestmark = pytest.mark.slow
CONTENT_PORTS = [
    port
    for name in STEPS
    for port in load_step(name).output_ports
    if port not in load_step(name).varying
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_params: dict[str, Any]) -> Path:
    """A working folder whose parameters name local data by relative paths."""
    folder = tmp_path_factory.mktemp("work")
    write_data(folder, tiny_params)
    return folder


def run(folder: Path, *options: str) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DECANT_CACHE": str(folder / "cache"),
        "DECANT_TRACKING": "on",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'store' / 'mlflow.db'}",
        "OMP_NUM_THREADS": "1",
    }
    (folder / "store").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "run", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=5400,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def test_containers_make_the_same_artifacts(daemon: Any, folder: Path) -> None:
    run(folder, "--output", "containers", "--runner", "docker")
    run(folder, "--output", "subprocesses")
    theirs, ours = (
        {port: content_digest(folder / name / artifact_folder(port)) for port in CONTENT_PORTS}
        for name in ("containers", "subprocesses")
    )
    assert theirs == ours

    owners = {file.stat().st_uid for file in (folder / "containers").rglob("*")}
    assert owners == {os.getuid()}
    left = daemon.containers.list(all=True, filters={"label": RUN_LABEL})
    assert {one.status for one in left} <= {"removing"}, "a slow daemon takes its time"
    assert not (folder / "containers" / ".kfp").exists()


def test_the_containers_runs_are_in_the_callers_store(daemon: Any, folder: Path) -> None:
    """After the test above: the runs that the sidecars name are there, under one parent."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'store' / 'mlflow.db'}")
    parents = set()
    for name in STEPS:
        port = load_step(name).output_ports[0]
        sidecar = read_sidecar(folder / "containers" / artifact_folder(port))
        assert sidecar is not None and sidecar.run_id
        found = client.get_run(sidecar.run_id)
        assert found.info.status == "FINISHED"
        parents.add(found.data.tags["mlflow.parentRunId"])
    assert len(parents) == 1
    receipt = read_json(folder / "containers" / artifact_folder("receipt") / "receipt.json")
    assert receipt["registered"] is True
