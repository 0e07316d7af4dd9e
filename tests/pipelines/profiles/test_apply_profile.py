"""A profile in the compiled package: every setting, by value, in KFP's own two documents."""

import dataclasses
import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec, PlatformSpec
from ruamel.yaml import YAML

from decant.runtime.identity import PROJECT
from decant.runtime.steps import STEPS
from pipelines.arguments import pipeline_arguments
from pipelines.profiles.profile import load_profile, shipped_profiles
from pipelines.profiles.profile_settings import StepSettings
from tests.errors import raises
from tests.pipelines.packages import compiled, container, written

PARAMS = PROJECT / "params.yaml"
DIGEST = f"registry.example.org/decant-steps@sha256:{'0123456789abcdef' * 4}"
OTHER = f"registry.example.org/other:1.2@sha256:{'f' * 64}"
KFP_RUN_ID = {"name": "KFP_RUN_ID", "fieldPath": "metadata.labels['pipeline/runid']"}

# Every setting that there is, in `all` or in a step.
EVERYTHING = f"""
development: false
service_account: decant-runner
workspace: {{size: 20Gi, storage_class: fast, access_modes: [ReadWriteMany]}}
all:
  image: {DIGEST}
  image_pull_policy: Always
  image_pull_secrets: [registry-one, registry-two]
  cpu: {{request: 500m, limit: 2}}
  memory: {{request: 3Gi, limit: 8G}}
  caching: false
  env: {{HF_HOME: /models, MLFLOW_TRACKING_URI: http://profile:5000}}
steps:
  distill:
    image: {OTHER}
    gpu: {{resource: nvidia.com/mig-1g.5gb, count: 2}}
    shared_memory: 1Gi
    node_selector: {{pool: gpu, zone: a}}
    tolerations:
      - {{key: gpu, operator: Equal, value: "yes", effect: NoExecute, seconds: 30}}
      - {{operator: Exists}}
    node_affinity:
      required:
        - {{key: kind, operator: In, values: [h100, h200]}}
        - {{key: slow, operator: DoesNotExist}}
      preferred:
        - {{weight: 70, match: [{{key: gpus, operator: Gt, values: ["3"]}}]}}
        - {{weight: 5, match: [{{key: local-disk, operator: Exists}}]}}
    volumes:
      cache: {{path: /cache, sub_path: decant/cache, access_mode: ReadWriteOnce}}
      data: {{path: /data}}
    env: {{OMP_NUM_THREADS: "2"}}
    env_from_secrets: {{hub: {{token: HF_TOKEN, user: HF_USER}}}}
    env_from_config_maps: {{site: {{proxy: HTTPS_PROXY}}}}
    secret_files: {{certificates: /etc/own-certificates}}
    retries: {{count: 4, backoff_seconds: 90, factor: 1.5, max_seconds: 9000}}
    timeout_seconds: 7200
    nodes: 1 # test_train_job.py has more
  finetune: {{caching: true}}
"""


@pytest.fixture(scope="module")
def arguments() -> dict[str, str]:
    return pipeline_arguments(PARAMS)


def task(package: list[dict[str, Any]], step: str) -> dict[str, Any]:
    found: dict[str, Any] = package[0]["root"]["dag"]["tasks"][step.replace("_", "-")]
    return found


def platform(package: list[dict[str, Any]], step: str) -> dict[str, Any]:
    executors = package[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found: dict[str, Any] = executors[f"exec-{step.replace('_', '-')}"]
    return found


def params_of(package: list[dict[str, Any]], step: str) -> dict[str, Any]:
    parameters = package[0]["root"]["inputDefinitions"]["parameters"]
    found: dict[str, Any] = json.loads(parameters[f"{step}_params"]["defaultValue"])
    return found


@pytest.fixture(scope="module")
def package(
    tmp_path_factory: pytest.TempPathFactory, arguments: dict[str, str]
) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("everything")
    return compiled(folder, arguments, written(folder, EVERYTHING))


def test_the_profile_above_has_every_setting_that_there_is() -> None:
    content = YAML(typ="safe").load(EVERYTHING)
    settings = content["steps"]["distill"] | content["all"]
    assert set(settings) == {field.name for field in dataclasses.fields(StepSettings)}
    hints = get_type_hints(StepSettings)
    for name in ("cpu", "memory", "gpu", "node_affinity"):
        assert set(settings[name]) == {field.name for field in dataclasses.fields(hints[name])}
    assert len(settings["volumes"]["cache"]) == 3
    assert len(settings["tolerations"][0]) == 5


def test_container_image_environment_and_resources(package: list[dict[str, Any]]) -> None:
    distill = container(package, "distill")
    assert distill["image"] == OTHER
    assert distill["env"] == [
        {"name": "HF_HOME", "value": "/models"},
        {"name": "MLFLOW_TRACKING_URI", "value": "http://profile:5000"},
        {"name": "OMP_NUM_THREADS", "value": "2"},
        {"name": "DECANT_PROCESSES", "value": "2"},  # one per GPU
    ]
    assert distill["resources"] == {
        "resourceCpuRequest": "500m",
        "cpuRequest": 0.5,
        "resourceCpuLimit": "2",
        "cpuLimit": 2.0,
        "resourceMemoryRequest": "3Gi",
        "memoryRequest": 3 * 2**30 / 1e9,
        "resourceMemoryLimit": "8G",
        "memoryLimit": 8.0,
        "accelerator": {
            "resourceType": "nvidia.com/mig-1g.5gb",
            "type": "nvidia.com/mig-1g.5gb",
            "resourceCount": "2",
            "count": "2",
        },
    }
    for step in set(STEPS) - {"distill"}:
        other = container(package, step)
        assert other["image"] == DIGEST
        assert other["env"] == distill["env"][:2]
        assert "accelerator" not in other["resources"]
        assert other["resources"]["resourceMemoryLimit"] == "8G"


def test_platform_settings_of_the_pod(package: list[dict[str, Any]]) -> None:
    distill = platform(package, "distill")
    assert {key: distill[key] for key in distill if not key.endswith(("AsEnv", "AsVolume"))} == {
        "imagePullPolicy": "Always",
        "imagePullSecret": [
            {"secretName": name, "secretNameParameter": constant(name)}
            for name in ("registry-one", "registry-two")
        ],
        "emptyDirMounts": [
            {
                "volumeName": "shm",
                "mountPath": "/dev/shm",
                "medium": "Memory",
                "sizeLimit": "1Gi",
            }
        ],
        "nodeSelector": {"labels": {"pool": "gpu", "zone": "a"}},
        "tolerations": [
            {
                "key": "gpu",
                "operator": "Equal",
                "value": "yes",
                "effect": "NoExecute",
                "tolerationSeconds": "30",
            },
            {"operator": "Exists"},
        ],
        "nodeAffinity": [
            {
                "matchExpressions": [
                    {"key": "kind", "operator": "In", "values": ["h100", "h200"]},
                    {"key": "slow", "operator": "DoesNotExist"},
                ]
            },
            {
                "matchExpressions": [{"key": "gpus", "operator": "Gt", "values": ["3"]}],
                "weight": 70,
            },
            {"matchExpressions": [{"key": "local-disk", "operator": "Exists"}], "weight": 5},
        ],
        "pvcMount": [
            {
                "constant": "cache",
                "pvcNameParameter": constant("cache"),
                "mountPath": "/cache",
                "subPath": "decant/cache",
            },
            {
                "constant": "data",
                "pvcNameParameter": constant("data"),
                "mountPath": "/data",
            },
        ],
        "activeDeadlineSeconds": "7200",
    }


def constant(text: str) -> dict[str, Any]:
    return {"runtimeValue": {"constant": text}}


def test_platform_settings_from_secrets_and_config_maps(package: list[dict[str, Any]]) -> None:
    distill = platform(package, "distill")
    assert {key: distill[key] for key in distill if key.endswith(("AsEnv", "AsVolume"))} == {
        "fieldPathAsEnv": [KFP_RUN_ID],
        "secretAsEnv": [
            {
                "secretName": "hub",
                "secretNameParameter": constant("hub"),
                "keyToEnv": [
                    {"secretKey": "token", "envVar": "HF_TOKEN"},
                    {"secretKey": "user", "envVar": "HF_USER"},
                ],
                "optional": False,
            }
        ],
        "configMapAsEnv": [
            {
                "configMapName": "site",
                "configMapNameParameter": constant("site"),
                "keyToEnv": [{"configMapKey": "proxy", "envVar": "HTTPS_PROXY"}],
                "optional": False,
            }
        ],
        "secretAsVolume": [
            {
                "secretName": "certificates",
                "secretNameParameter": constant("certificates"),
                "mountPath": "/etc/own-certificates",
                "optional": False,
            }
        ],
    }


def test_settings_of_all_are_in_every_other_step_and_those_of_a_step_in_none(
    package: list[dict[str, Any]],
) -> None:
    for step in set(STEPS) - {"distill"}:
        assert set(platform(package, step)) == {
            "imagePullPolicy",
            "imagePullSecret",
            "fieldPathAsEnv",
        }


def test_retries_and_caching_of_the_tasks(package: list[dict[str, Any]]) -> None:
    assert task(package, "distill")["retryPolicy"] == {
        "maxRetryCount": 4,
        "backoffDuration": "90s",
        "backoffFactor": 1.5,
        "backoffMaxDuration": "9000s",
    }
    assert [step for step in STEPS if "retryPolicy" in task(package, step)] == ["distill"]
    cached = [step for step in STEPS if task(package, step)["cachingOptions"].get("enableCache")]
    assert cached == ["finetune"]


def test_the_workspace_is_the_pipelines(package: list[dict[str, Any]]) -> None:
    assert package[1]["platforms"]["kubernetes"]["pipelineConfig"] == {
        "workspace": {
            "size": "20Gi",
            "kubernetes": {
                "pvcSpecPatch": {"storageClassName": "fast", "accessModes": ["ReadWriteMany"]}
            },
        }
    }


def test_what_a_package_cannot_hold_is_kept_for_others(tmp_path: Path) -> None:
    profile = written(tmp_path, EVERYTHING)
    assert profile.service_account == "decant-runner"


@pytest.mark.parametrize("profile", ["mine", *shipped_profiles()])
def test_the_documents_are_kfps_own_messages(
    profile: str, tmp_path: Path, arguments: dict[str, str]
) -> None:
    read = written(tmp_path, EVERYTHING) if profile == "mine" else load_profile(profile)
    spec, platforms = compiled(tmp_path, arguments, read, image=DIGEST)
    json_format.ParseDict(spec, PipelineSpec())
    json_format.ParseDict(platforms, PlatformSpec())
    executors = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert len(executors) == len(STEPS)
    for executor in executors.values():
        message = json_format.ParseDict(executor, KubernetesExecutorConfig())
        assert json_format.MessageToDict(message) == executor


def test_a_profile_leaves_flow_names_and_run_id_as_they_are(
    package: list[dict[str, Any]], tmp_path: Path, arguments: dict[str, str]
) -> None:
    plain = compiled(tmp_path, arguments, None)
    for step in STEPS:
        ours, theirs = task(package, step), task(plain, step)
        for key in ("inputs", "taskInfo", "componentRef"):
            assert ours[key] == theirs[key]
        assert ours.get("dependentTasks") == theirs.get("dependentTasks")
        assert platform(plain, step) == {"fieldPathAsEnv": [KFP_RUN_ID]}
        assert set(container(plain, step)) == {"args", "command", "image"}
        assert container(plain, step)["args"] == container(package, step)["args"]
        assert container(plain, step)["command"] == container(package, step)["command"]
    assert package[0]["pipelineInfo"] == plain[0]["pipelineInfo"]
    assert package[0]["components"] == plain[0]["components"]
    assert "pipelineConfig" not in plain[1]["platforms"]["kubernetes"]


def test_gpus_make_the_device_cuda_where_it_was_auto(
    tmp_path: Path, arguments: dict[str, str]
) -> None:
    package = compiled(tmp_path, arguments, load_profile("gpu"), image=DIGEST)
    for step in STEPS:
        before = json.loads(arguments[f"{step}_params"])
        after = params_of(package, step)
        if step in ("finetune", "transfer_weights", "distill"):
            assert before["device"] == "auto"
            assert after == before | {"device": "cuda"}
        else:
            assert after == before


def test_without_gpus_the_arguments_stay_as_they_are(
    tmp_path: Path, arguments: dict[str, str]
) -> None:
    package = compiled(tmp_path, arguments, load_profile("cpu"))
    parameters = package[0]["root"]["inputDefinitions"]["parameters"]
    assert {name: one["defaultValue"] for name, one in parameters.items()} == arguments


@pytest.mark.parametrize(
    ("name", "device", "values"),
    [
        ("gpu", "cpu", ["gpu.count of distill is 1", "distill.device is cpu"]),
        ("cpu", "cuda", ["gpu.count of distill is 0", "distill.device is cuda"]),
    ],
)
def test_a_device_that_the_profile_contradicts_is_refused(
    name: str, device: str, values: list[str], tmp_path: Path
) -> None:
    arguments = pipeline_arguments(PARAMS, [f"distill.device={device}"])
    with raises("profile-conflict", f"{name}.yaml", *values):
        compiled(tmp_path, arguments, load_profile(name), image=DIGEST)
    assert not any(tmp_path.iterdir())


def test_a_device_that_says_the_same_is_allowed(tmp_path: Path) -> None:
    arguments = pipeline_arguments(PARAMS, ["distill.device=cuda"])
    package = compiled(tmp_path, arguments, load_profile("gpu"), image=DIGEST)
    assert params_of(package, "distill")["device"] == "cuda"
    assert params_of(package, "finetune")["device"] == "cuda"


def test_register_is_not_cached_even_when_all_is(tmp_path: Path, arguments: dict[str, str]) -> None:
    package = compiled(
        tmp_path, arguments, written(tmp_path, "development: true\nall: {caching: true}")
    )
    cached = [step for step in STEPS if task(package, step)["cachingOptions"].get("enableCache")]
    assert cached == [step for step in STEPS if step != "register"]
