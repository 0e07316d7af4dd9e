"""A package's task starts a TrainJob whose two nodes really train, on a cluster of processes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from decant.runner.kfp_task import run_component
from decant.runner.run_step import run_step
from decant.runner.train_job import watch as follow
from decant.runtime.artifacts import read_card, read_sidecar
from decant.runtime.identity import canonical_json
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow.compiling import compile_pipeline, read_package
from pipelines.profiles.profile import load_profile
from tests.decant.runner.train_job.kubernetes_api import serving


class Metrics(dict[str, float]):
    """What KFP's `dsl.Metrics` is to a component."""

    def log_metric(self, name: str, value: float) -> None:
        self[name] = value


def task_environment(folder: Path, shared: Path, step: str) -> dict[str, str]:
    """The environment that the compiled package gives the step's task."""
    profile = folder / "two-nodes.yaml"
    profile.write_text(
        f"""
development: true
all:
  cpu: {{limit: 1}}
  volumes: {{team: {{path: {shared}, access_mode: ReadWriteMany}}}}
  timeout_seconds: 600
steps:
  {step}: {{nodes: 2, env: {{OMP_NUM_THREADS: "1", DECANT_TRACKING: "off"}}}}
"""
    )
    package = folder / "package.yaml"
    compile_pipeline(
        package, pipeline_arguments(Path("params.yaml")), profile=load_profile(str(profile))
    )
    container = read_package(package)[0]["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    return {one["name"]: one["value"] for one in container["env"]}


@pytest.mark.slow
def test_a_task_trains_on_two_nodes_what_one_process_trains(
    calm_params: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    step = "finetune"
    for name in ("ingest", "tokenize", step):
        kind = load_step(name)
        ports = {port: tmp_path / port for port in (*kind.input_ports, *kind.output_ports)}
        run_step(name, section_of(calm_params, name, kind.params), ports)

    kind = load_step(step)
    shared = tmp_path / "shared"
    shared.mkdir()
    apart = {port: tmp_path / "of-two-nodes" / port for port in kind.output_ports}
    ports = {port: tmp_path / port for port in kind.input_ports} | apart
    environment = task_environment(tmp_path, shared, step)
    params = canonical_json(section_of(calm_params, step, kind.params))
    metrics = Metrics()
    with serving(tmp_path) as (cluster, kubeconfig), monkeypatch.context() as task:
        task.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
        task.setattr(follow, "LOOK_SECONDS", 0.5)
        task.delenv("DECANT_CACHE")
        for name, value in environment.items():
            task.setenv(name, value)
        run_component(step, params, {port: str(path) for port, path in ports.items()}, metrics)
        assert len(cluster.posted) == len(cluster.deleted) == 1
    output = capfd.readouterr().out
    assert "node 0 Running, node 1 Running" in output and "epoch 2" in output
    for port in kind.output_ports:
        alone, together = (
            load_file(tmp_path / at / port / "model.safetensors") for at in (".", "of-two-nodes")
        )
        for name, tensor in alone.items():
            np.testing.assert_allclose(together[name], tensor, atol=5e-4, err_msg=name)
    first = next(iter(kind.output_ports))
    assert read_card(apart[first]).identity == read_card(tmp_path / first).identity
    assert read_card(apart[first]).metrics == pytest.approx(read_card(tmp_path / first).metrics)
    sidecar = read_sidecar(apart[first])
    assert sidecar is not None
    assert metrics == {**read_card(apart[first]).metrics, **sidecar.measures}
    assert [path.name for path in shared.rglob("*")] == ["train-jobs"]
