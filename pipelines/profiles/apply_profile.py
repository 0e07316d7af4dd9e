"""A profile applied to the pipeline: its settings on the tasks, its GPUs in the arguments.

For a step with several nodes they apply to its TrainJob (see train_job); its task only starts that.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl import pipeline_context
from kfp.dsl.graph_component import GraphComponent

from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json
from decant.runtime.steps import STEPS
from decant.training.processes import VARIABLE as PROCESSES_VARIABLE
from pipelines.profiles.profile import Profile, Workspace, has_device
from pipelines.profiles.profile_settings import (
    SHARED_MEMORY_PATH,
    SHARED_MEMORY_VOLUME,
    Match,
    StepSettings,
)
from pipelines.profiles.train_job_task import launcher_settings


def apply_profile(pipeline: GraphComponent, profile: Profile) -> GraphComponent:
    """The same pipeline, compiled again with the profile's settings on every task.

    The images are not set here: the command line may set another one.
    """

    @functools.wraps(pipeline.pipeline_func)
    def with_profile(*arguments: Any, **named: Any) -> None:
        pipeline.pipeline_func(*arguments, **named)
        tasks = pipeline_context.Pipeline.get_default_pipeline().tasks
        for name, task in tasks.items():
            settings = profile.steps[name.replace("-", "_")]
            _set_task(task, launcher_settings(settings) if settings.nodes > 1 else settings)

    return dsl.pipeline(
        with_profile,
        name=pipeline.name,
        description=pipeline.description,
        pipeline_config=_pipeline_config(profile.workspace),
    )


def arguments_for(profile: Profile, arguments: Mapping[str, str]) -> dict[str, str]:
    """The pipeline's arguments, where a step that gets GPUs and has `device: auto` gets `cuda`.

    So it fails at once when torch finds no GPU, instead of occupying one while it computes on the
    processor. Raises UserError where the profile and a step's `device` contradict each other.
    """
    adjusted = dict(arguments)
    for step in filter(has_device, STEPS):
        key = f"{step}_params"
        params = json.loads(arguments[key])
        count = profile.steps[step].gpu.count
        match params["device"], count > 0:
            case "auto", True:
                adjusted[key] = canonical_json({**params, "device": "cuda"})
            case "cpu", True:
                raise UserError(
                    f"{profile.file}: gpu.count of {step} is {count}, but {step}.device is cpu",
                    code="profile-conflict",
                    hint=f"set {step}.device to auto, or steps.{step}.gpu.count to 0",
                )
            case "cuda", False:
                raise UserError(
                    f"{profile.file}: gpu.count of {step} is 0, but {step}.device is cuda",
                    code="profile-conflict",
                    hint=f"set {step}.device to auto, or steps.{step}.gpu.count to 1",
                )
    return adjusted


def _pipeline_config(workspace: Workspace | None) -> dsl.PipelineConfig | None:
    if workspace is None:
        return None
    claim = {"storageClassName": workspace.storage_class, "accessModes": workspace.access_modes}
    patch = dsl.KubernetesWorkspaceConfig({key: value for key, value in claim.items() if value})
    return dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size=workspace.size, kubernetes=patch))


def _set_task(task: dsl.PipelineTask, settings: StepSettings) -> None:
    _set_image_access(task, settings)
    _set_resources(task, settings)
    _set_placement(task, settings)
    _set_volumes(task, settings)
    _set_environment(task, settings)
    _set_execution(task, settings)


def _set_image_access(task: dsl.PipelineTask, settings: StepSettings) -> None:
    if settings.image_pull_policy:
        kubernetes.set_image_pull_policy(task, settings.image_pull_policy)
    if settings.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, settings.image_pull_secrets)


def _set_resources(task: dsl.PipelineTask, settings: StepSettings) -> None:
    for setter, quantity in (
        (task.set_cpu_request, settings.cpu.request),
        (task.set_cpu_limit, settings.cpu.limit),
        (task.set_memory_request, settings.memory.request),
        (task.set_memory_limit, settings.memory.limit),
    ):
        if quantity:
            setter(quantity)
    if settings.gpu.count:
        task.set_accelerator_type(settings.gpu.resource)
        task.set_accelerator_limit(settings.gpu.count)


def _set_placement(task: dsl.PipelineTask, settings: StepSettings) -> None:
    for label, value in settings.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for toleration in settings.tolerations:
        kubernetes.add_toleration(
            task,
            key=toleration.key,
            operator=toleration.operator,
            value=toleration.value,
            effect=toleration.effect,
            toleration_seconds=toleration.seconds,
        )
    affinity = settings.node_affinity
    if affinity.required:  # one term: Kubernetes requires only one of several terms
        kubernetes.add_node_affinity(task, _expressions(affinity.required))
    for preference in affinity.preferred:
        kubernetes.add_node_affinity(task, _expressions(preference.match), weight=preference.weight)


def _expressions(matches: list[Match]) -> list[dict[str, Any]]:
    return [
        {"key": match.key, "operator": match.operator, "values": match.values} for match in matches
    ]


def _set_volumes(task: dsl.PipelineTask, settings: StepSettings) -> None:
    if settings.shared_memory:
        kubernetes.empty_dir_mount(
            task,
            volume_name=SHARED_MEMORY_VOLUME,
            mount_path=SHARED_MEMORY_PATH,
            medium="Memory",
            size_limit=settings.shared_memory,
        )
    for claim, volume in settings.volumes.items():
        kubernetes.mount_pvc(task, claim, volume.path, volume.sub_path or "")
    for secret, path in settings.secret_files.items():
        kubernetes.use_secret_as_volume(task, secret, path)


def _set_environment(task: dsl.PipelineTask, settings: StepSettings) -> None:
    for name, value in settings.env.items():
        task.set_env_variable(name, value)
    if settings.gpu.count > 1:
        task.set_env_variable(PROCESSES_VARIABLE, str(settings.gpu.count))
    for secret, keys in settings.env_from_secrets.items():
        kubernetes.use_secret_as_env(task, secret, keys)
    for config_map, keys in settings.env_from_config_maps.items():
        kubernetes.use_config_map_as_env(task, config_map, keys)


def _set_execution(task: dsl.PipelineTask, settings: StepSettings) -> None:
    retries = settings.retries
    if retries and retries.count:
        task.set_retry(
            num_retries=retries.count,
            backoff_duration=f"{retries.backoff_seconds}s",
            backoff_factor=retries.factor,
            backoff_max_duration=f"{retries.max_seconds}s",
        )
    if settings.timeout_seconds:
        kubernetes.set_timeout(task, settings.timeout_seconds)
    if settings.caching is not None:
        task.set_caching_options(settings.caching)
