"""A profile with several nodes, compiled: the TrainJob with every setting, and its small task."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob

from decant.runtime.identity import PROJECT
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow.compiling import compile_pipeline, read_package
from pipelines.profiles.profile import load_profile
from tests.decant.runner.train_job.kubernetes_api import shipped

IMAGE = f"registry.example.org/decant-steps@sha256:{'0123456789abcdef' * 4}"

# Every setting that a step has.
EVERYTHING = f"""
development: true
service_account: runner
steps:
  distill:
    nodes: 3
    image: {IMAGE}
    image_pull_policy: IfNotPresent
    image_pull_secrets: [registry-one, registry-two]
    cpu: {{request: 500m, limit: 2}}
    memory: {{request: 3Gi, limit: 8G}}
    gpu: {{resource: example.com/gpu, count: 2}}
    shared_memory: 1Gi
    node_selector: {{pool: gpu}}
    tolerations:
      - {{key: gpu, operator: Equal, value: "yes", effect: NoExecute, seconds: 30}}
      - {{operator: Exists}}
    node_affinity:
      required: [{{key: kind, operator: In, values: [h100, h200]}}]
      preferred: [{{weight: 70, match: [{{key: gpus, operator: Gt, values: ["3"]}}]}}]
    volumes:
      data: {{path: /data}}
      team: {{path: /team, sub_path: decant, access_mode: ReadWriteMany}}
    env: {{OMP_NUM_THREADS: "2", MLFLOW_TRACKING_URI: "http://profile:5000"}}
    env_from_secrets: {{mlflow: {{user: MLFLOW_TRACKING_USERNAME}}}}
    env_from_config_maps: {{site: {{proxy: HTTPS_PROXY}}}}
    secret_files: {{certificates: /etc/own-certificates}}
    retries: {{count: 4, backoff_seconds: 90, factor: 1.5, max_seconds: 7200}}
    timeout_seconds: 7200
    caching: false
"""


def compiled(tmp_path: Path, text: str, **options: Any) -> list[dict[str, Any]]:
    file = tmp_path / "profile.yaml"
    file.write_text(text)
    arguments = pipeline_arguments(PROJECT / "params.yaml")
    options = {"image": IMAGE} | options
    compile_pipeline(
        tmp_path / "package.yaml", arguments, profile=load_profile(str(file)), **options
    )
    return read_package(tmp_path / "package.yaml")


def plan(package: list[dict[str, Any]], step: str) -> dict[str, Any] | None:
    env = package[0]["deploymentSpec"]["executors"][f"exec-{step}"]["container"].get("env", [])
    texts = [one["value"] for one in env if one["name"] == "DECANT_TRAIN_JOB"]
    found: dict[str, Any] | None = json.loads(texts[0]) if texts else None
    return found


def test_the_train_job_has_every_setting_of_the_profile(tmp_path: Path) -> None:
    package = compiled(tmp_path, EVERYTHING, image=None, mlflow_uri="http://given:5000")
    found = plan(package, "distill")
    assert found is not None
    assert found["shared"] == "/team" and found["timeout_seconds"] == 7200
    pod = {
        "metadata": {"labels": {"sidecar.istio.io/inject": "false"}},
        "spec": {
            "serviceAccountName": "runner",
            "imagePullSecrets": [{"name": "registry-one"}, {"name": "registry-two"}],
            "nodeSelector": {"pool": "gpu"},
            "tolerations": [
                {
                    "key": "gpu",
                    "operator": "Equal",
                    "value": "yes",
                    "effect": "NoExecute",
                    "tolerationSeconds": 30,
                },
                {"operator": "Exists"},
            ],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {"key": "kind", "operator": "In", "values": ["h100", "h200"]}
                                ]
                            }
                        ]
                    },
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 70,
                            "preference": {
                                "matchExpressions": [
                                    {"key": "gpus", "operator": "Gt", "values": ["3"]}
                                ]
                            },
                        }
                    ],
                }
            },
            "volumes": [
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "team", "persistentVolumeClaim": {"claimName": "team"}},
                {"name": "certificates", "secret": {"secretName": "certificates"}},
            ],
            "containers": [
                {
                    "name": "node",
                    "volumeMounts": [
                        {"name": "shm", "mountPath": "/dev/shm"},
                        {"name": "data", "mountPath": "/data"},
                        {"name": "team", "mountPath": "/team", "subPath": "decant"},
                        {
                            "name": "certificates",
                            "mountPath": "/etc/own-certificates",
                            "readOnly": True,
                        },
                    ],
                }
            ],
        },
    }
    job = {"name": "node", "template": {"spec": {"template": pod}}}
    assert found["manifest"] == {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {
            "runtimeRef": {"name": "torch-distributed", "kind": "ClusterTrainingRuntime"},
            "activeDeadlineSeconds": 7200,
            "trainer": {
                "image": IMAGE,
                "numNodes": 3,
                "numProcPerNode": 2,  # one per GPU
                "resourcesPerNode": {
                    "requests": {"cpu": "500m", "memory": "3Gi"},
                    "limits": {"cpu": "2", "memory": "8G", "example.com/gpu": "2"},
                },
                "env": [
                    {"name": "OMP_NUM_THREADS", "value": "2"},
                    {"name": "MLFLOW_TRACKING_URI", "value": "http://given:5000"},
                    {
                        "name": "MLFLOW_TRACKING_USERNAME",
                        "valueFrom": {"secretKeyRef": {"name": "mlflow", "key": "user"}},
                    },
                    {
                        "name": "HTTPS_PROXY",
                        "valueFrom": {"configMapKeyRef": {"name": "site", "key": "proxy"}},
                    },
                ],
            },
            "runtimePatches": [
                {
                    "manager": "decant/pipeline",
                    "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}},
                }
            ],
        },
    }
    typed = TrainerV1alpha1TrainJob.from_dict(found["manifest"])
    assert typed is not None and typed.to_dict() == found["manifest"]


def test_its_task_is_small_and_gets_no_secrets(tmp_path: Path) -> None:
    package = compiled(tmp_path, EVERYTHING)
    container = package[0]["deploymentSpec"]["executors"]["exec-distill"]["container"]
    assert [one["name"] for one in container["env"]] == ["DECANT_TRAIN_JOB"]
    resources = {key: value for key, value in container["resources"].items() if "resource" in key}
    assert resources == {
        "resourceCpuRequest": "250m",
        "resourceCpuLimit": "1",
        "resourceMemoryRequest": "1Gi",
        "resourceMemoryLimit": "2Gi",
    }
    task = package[0]["root"]["dag"]["tasks"]["distill"]
    assert task["retryPolicy"]["maxRetryCount"] == 4
    assert task["retryPolicy"]["backoffMaxDuration"] == "7800s"  # no less than one attempt
    pod = package[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-distill"]
    assert set(pod) == {
        "activeDeadlineSeconds",
        "fieldPathAsEnv",  # KFP_RUN_ID
        "imagePullPolicy",
        "imagePullSecret",
        "nodeAffinity",
        "nodeSelector",
        "pvcMount",
        "tolerations",
    }
    assert pod["activeDeadlineSeconds"] == "7800"  # it tells how its job ended
    (mount,) = pod["pvcMount"]
    assert (mount["constant"], mount["mountPath"], mount["subPath"]) == ("team", "/team", "decant")


@pytest.mark.parametrize(("own", "processes"), [("", 1), (", env: {DECANT_PROCESSES: '4'}", 4)])
def test_processes_of_nodes_without_gpus(own: str, processes: int, tmp_path: Path) -> None:
    volumes = "volumes: {team: {path: /team, access_mode: ReadWriteMany}}"
    package = compiled(tmp_path, f"steps: {{finetune: {{nodes: 2, {volumes}{own}}}}}")
    found = plan(package, "finetune")
    assert found is not None and found["timeout_seconds"] is None
    assert found["manifest"]["spec"]["trainer"] == {
        "image": IMAGE,
        "numNodes": 2,
        "numProcPerNode": processes,  # else Trainer takes as many as there are cores
        "resourcesPerNode": {},
        "env": [],
    }
    assert "activeDeadlineSeconds" not in found["manifest"]["spec"]


def test_only_steps_with_several_nodes_start_train_jobs(tmp_path: Path) -> None:
    package = compiled(tmp_path, EVERYTHING)
    names = (name.removeprefix("exec-") for name in package[0]["deploymentSpec"]["executors"])
    assert [name for name in names if plan(package, name)] == ["distill"]


def test_what_the_user_applies_fits_the_shipped_profile() -> None:
    profile = load_profile("multi-node")
    claim = shipped("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert list(profile.steps["distill"].volumes) == [claim["metadata"]["name"]]
    binding = shipped("RoleBinding")
    assert [one["name"] for one in binding["subjects"]] == [profile.service_account]
    assert binding["roleRef"]["name"] == shipped("Role")["metadata"]["name"]
