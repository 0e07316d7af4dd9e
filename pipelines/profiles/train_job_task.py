"""A step on several nodes, compiled: the TrainJob of its nodes, and the small task that starts it.

The whole manifest is written here, so that the package shows it; the task adds the job's name, its
command and the run. kubeflow's TrainerClient.train() does not suffice: it supports no variables
from secrets, no processes per node and no request below its limit. Its typed models are used.
"""

import dataclasses
from typing import Any

from decant.runner.train_job.node_plan import Plan
from decant.training.processes import VARIABLE as PROCESSES_VARIABLE
from pipelines.profiles.profile_settings import (
    SHARED_MEMORY_PATH,
    SHARED_MEMORY_VOLUME,
    Cpu,
    Gpu,
    Match,
    Memory,
    NodeAffinity,
    StepSettings,
)

RUNTIME = "torch-distributed"  # comes with Kubeflow Trainer
MANAGER = "decant/pipeline"
# The runtime's names of its job and of the container in it.
NODE = "node"
# After the nodes' own time: to report the end, and to clean up.
LAUNCHER_SECONDS = 600


def launcher_settings(settings: StepSettings) -> StepSettings:
    """Settings of the task that starts the TrainJob, watches it, and copies inputs and outputs.

    It is placed like its nodes, but has no GPU, hardly any CPU, and no secrets.
    """
    shared = settings.shared_volumes()[0]
    timeout = settings.timeout_seconds
    retries = settings.retries
    if retries and timeout:
        longest = max(retries.max_seconds, timeout + LAUNCHER_SECONDS)
        retries = dataclasses.replace(retries, max_seconds=longest)
    return dataclasses.replace(
        settings,
        cpu=Cpu(request="250m", limit="1"),
        memory=Memory(request="1Gi", limit="2Gi"),
        gpu=Gpu(),
        shared_memory=None,
        volumes={claim: one for claim, one in settings.volumes.items() if one == shared},
        env={},
        env_from_secrets={},
        env_from_config_maps={},
        secret_files={},
        retries=retries,
        timeout_seconds=timeout + LAUNCHER_SECONDS if timeout else None,
        nodes=1,
    )


def train_job_plan(
    settings: StepSettings, *, image: str, service_account: str | None, env: dict[str, str]
) -> Plan:
    """The plan of a step with several nodes.

    Args:
        image: of the nodes.
        service_account: of the nodes; the namespace's default one without it.
        env: variables that override those of the settings.
    """
    from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob

    manifest: dict[str, Any] = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {
            "runtimeRef": {"name": RUNTIME, "kind": "ClusterTrainingRuntime"},
            "trainer": {
                "image": image,
                "numNodes": settings.nodes,
                "numProcPerNode": settings.gpu.count
                or int(settings.env.get(PROCESSES_VARIABLE, "1")),
                "resourcesPerNode": _resources(settings),
                "env": _environment(settings, env),
            },
            "runtimePatches": [_patch(settings, service_account)],
        },
    }
    if settings.timeout_seconds:  # ends the job when no task watches it any more
        manifest["spec"]["activeDeadlineSeconds"] = settings.timeout_seconds
    typed = TrainerV1alpha1TrainJob.from_dict(manifest)
    assert typed is not None
    return Plan(
        manifest=typed.to_dict(),
        shared=settings.shared_volumes()[0].path,
        timeout_seconds=settings.timeout_seconds,
    )


def _resources(settings: StepSettings) -> dict[str, Any]:
    requests = {"cpu": settings.cpu.request, "memory": settings.memory.request}
    most = {"cpu": settings.cpu.limit, "memory": settings.memory.limit}
    if settings.gpu.count:
        most[settings.gpu.resource] = str(settings.gpu.count)
    return {
        name: {key: value for key, value in amounts.items() if value}
        for name, amounts in (("requests", requests), ("limits", most))
        if any(amounts.values())
    }


def _environment(settings: StepSettings, env: dict[str, str]) -> list[dict[str, Any]]:
    plain = {name: value for name, value in settings.env.items() if name != PROCESSES_VARIABLE}
    found: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in {**plain, **env}.items()
    ]
    for kind, owners in (
        ("secretKeyRef", settings.env_from_secrets),
        ("configMapKeyRef", settings.env_from_config_maps),
    ):
        for owner, keys in owners.items():
            found += [
                {"name": name, "valueFrom": {kind: {"name": owner, "key": key}}}
                for key, name in keys.items()
            ]
    return found


def _patch(settings: StepSettings, service_account: str | None) -> dict[str, Any]:
    """Overrides of the runtime's pods: volumes and placement."""
    volumes, mounts = _volumes(settings)
    spec: dict[str, Any] = {
        "serviceAccountName": service_account,
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "nodeSelector": settings.node_selector,
        "tolerations": [
            _without_none(
                key=one.key,
                operator=one.operator,
                value=one.value,
                effect=one.effect,
                tolerationSeconds=one.seconds,
            )
            for one in settings.tolerations
        ],
        "affinity": _affinity(settings.node_affinity),
        "volumes": volumes,
        "containers": [{"name": NODE, "volumeMounts": mounts}],
    }
    pod = {
        # A mesh's proxy would be between the nodes, and would not end with the training.
        "metadata": {"labels": {"sidecar.istio.io/inject": "false"}},
        "spec": {key: value for key, value in spec.items() if value},
    }
    job = {"name": NODE, "template": {"spec": {"template": pod}}}
    return {
        "manager": MANAGER,
        "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}},
    }


def _volumes(settings: StepSettings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The pod's volumes, and where its container mounts them."""
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    if settings.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": settings.shared_memory}
        volumes.append({"name": SHARED_MEMORY_VOLUME, "emptyDir": memory})
        mounts.append({"name": SHARED_MEMORY_VOLUME, "mountPath": SHARED_MEMORY_PATH})
    for claim, volume in settings.volumes.items():
        volumes.append({"name": claim, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append(_without_none(name=claim, mountPath=volume.path, subPath=volume.sub_path))
    for secret, path in settings.secret_files.items():
        volumes.append({"name": secret, "secret": {"secretName": secret}})
        mounts.append({"name": secret, "mountPath": path, "readOnly": True})
    return volumes, mounts


def _affinity(affinity: NodeAffinity) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if affinity.required:
        terms = [_term(affinity.required)]
        found["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    if affinity.preferred:
        found["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": one.weight, "preference": _term(one.match)} for one in affinity.preferred
        ]
    return {"nodeAffinity": found} if found else {}


def _term(matches: list[Match]) -> dict[str, Any]:
    return {
        "matchExpressions": [
            {"key": one.key, "operator": one.operator}
            | ({"values": one.values} if one.values else {})
            for one in matches
        ]
    }


def _without_none(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
