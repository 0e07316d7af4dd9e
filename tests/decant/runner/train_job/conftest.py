"""A cluster on loopback, and the ports of a finetune step."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from decant.runner.train_job import launch
from decant.runner.train_job import watch as follow
from decant.runtime.artifacts import CARD, Card, Sidecar, write_json
from decant.runtime.identity import PROJECT, SIDECAR
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.steps import load_step
from pipelines.profiles.profile import load_profile
from pipelines.profiles.train_job_task import train_job_plan
from tests.decant.runner.train_job.kubernetes_api import Cluster, serving

RUN = "0f5dd3a1-1b60-4f6b-8a3c-2f7f6d5d2f10"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with serving(tmp_path) as (cluster, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.setattr(
            "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig)
        )
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("KFP_RUN_ID", RUN)
        monkeypatch.setattr(follow, "LOOK_SECONDS", 0.05)
        monkeypatch.setattr(launch, "RETRY_SECONDS", 0.05)
        yield cluster


def artifact(folder: Path, step: str, port: str) -> Path:
    """A folder that passes for the artifact of a step."""
    folder.mkdir(parents=True)
    card = Card(
        step=step,
        port=port,
        identity="0" * 64,
        varying=False,
        params={},
        inputs={},
        metrics={"validation_accuracy": 0.875},
        versions={},
    )
    sidecar = Sidecar(
        run_id="run-1", step_runs={}, started="", seconds=1.0, host="", measures={"seconds": 4.5}
    )
    write_json(folder / CARD, dataclasses.asdict(card))
    write_json(folder / SIDECAR, dataclasses.asdict(sidecar))
    return folder


@pytest.fixture
def ports(tmp_path: Path) -> dict[str, Path]:
    """Those of finetune, as KFP gives them."""
    artifacts = tmp_path / "artifacts"
    tokens = artifact(artifacts / "tokens", "tokenize", "tokens")
    (tokens / "rows.bin").write_bytes(b"rows")
    encoder = artifact(artifacts / "encoder", "ingest", "encoder")
    return {"tokens": tokens, "encoder": encoder, "teacher": artifacts / "teacher"}


@pytest.fixture(scope="session")
def section() -> dict[str, Any]:
    params = read_params_file(PROJECT / "params.yaml")
    return section_of(params, "finetune", load_step("finetune").params)


@pytest.fixture
def plan_json(tmp_path: Path) -> str:
    """The plan of a compiled profile whose volume is a folder of this machine."""
    shared = tmp_path / "shared"
    shared.mkdir()
    profile = tmp_path / "two-nodes.yaml"
    profile.write_text(
        f"""
steps:
  finetune:
    nodes: 2
    cpu: {{request: 500m, limit: 2}}
    memory: {{request: 1Gi, limit: 2Gi}}
    volumes: {{team: {{path: {shared}, access_mode: ReadWriteMany}}}}
    env: {{OMP_NUM_THREADS: "1"}}
    timeout_seconds: 300
"""
    )
    settings = load_profile(str(profile)).steps["finetune"]
    plan = train_job_plan(settings, image="decant-steps:0.1.0", service_account=None, env={})
    return plan.to_json()
