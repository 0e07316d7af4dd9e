"""Compiles the DAG to the package that a Kubeflow cluster runs."""

import os
import re
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kfp import compiler
from ruamel.yaml import YAML

from decant.runner.steps_image import STEPS_CPU_IMAGE, STEPS_IMAGE, is_fixed
from decant.runner.train_job.node_plan import VARIABLE as PLAN_VARIABLE
from decant.runtime.errors import UserError
from decant.runtime.secrets import holds_secret
from decant.runtime.steps import STEPS
from pipelines.distillation import distillation
from pipelines.profiles.apply_profile import apply_profile, arguments_for
from pipelines.profiles.profile import Profile
from pipelines.profiles.train_job_task import train_job_plan

TRACKING_URI = "MLFLOW_TRACKING_URI"


def compile_pipeline(
    output: Path,
    arguments: dict[str, str],
    *,
    profile: Profile | None = None,
    image: str | None = None,
    cpu_image: str | None = None,
    mlflow_uri: str | None = None,
    uncached: Collection[str] = (),
) -> None:
    """Compile with the arguments as defaults, and the image and environment in every executor.

    Without a profile every task runs with the cluster's defaults. `image` and `cpu_image` override
    the profile's, see `step_images`, and `mlflow_uri` overrides its MLFLOW_TRACKING_URI. KFP's
    cache does not answer for the `uncached` steps.

    Raises UserError for an image that can change under its name (KFP's cache compares names), a
    secret in `mlflow_uri`, and where the profile contradicts a step's `device` or
    `mlflow_uri`.
    """
    if holds_secret(mlflow_uri or ""):
        raise UserError(
            "--mlflow-uri has a password or a token, which the package would show to others",
            code="secret-exposed",
            hint="set MLFLOW_TRACKING_USERNAME and _PASSWORD with secrets in a profile",
        )
    if profile and mlflow_uri:
        _refuse_two_tracking_uris(profile)
    images = step_images(profile, image, cpu_image)
    for each in dict.fromkeys(images.values()):
        check_image(each, profile)
    pipeline = apply_profile(distillation, profile) if profile else distillation
    arguments = arguments_for(profile, arguments) if profile else arguments
    prepare_output(output)
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(compiled), pipeline_parameters=dict(arguments))
        documents = read_package(compiled)
    for name, executor in documents[0]["deploymentSpec"]["executors"].items():
        container, step = executor["container"], name.removeprefix("exec-").replace("-", "_")
        container["image"] = images[step]
        if own := _own_environment(step, profile, images[step], mlflow_uri):
            others = [one for one in container.get("env", []) if one["name"] not in own]
            container["env"] = others + [{"name": key, "value": own[key]} for key in own]
    for step in uncached:
        documents[0]["root"]["dag"]["tasks"][step.replace("_", "-")]["cachingOptions"] = {}
    writer = YAML()
    writer.width = 10_000
    partial = output.with_name(f".{output.name}.partial")
    writer.dump_all(documents, partial)
    partial.replace(output)


def prepare_output(file: Path) -> None:
    """Make the folder of the package. Raises UserError where it cannot be written."""
    if file.is_dir():
        raise UserError(f"the output {file} is a folder", code="output-taken", hint="name a file")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write in {file.parent}: {error.strerror}", code="path-unwritable"
        ) from None
    if not os.access(file.parent, os.W_OK):
        raise UserError(f"cannot write in {file.parent}", code="path-unwritable")


def _own_environment(
    step: str, profile: Profile | None, image: str, mlflow_uri: str | None
) -> dict[str, str]:
    """The variables from the command line, which override the profile's."""
    own = {TRACKING_URI: mlflow_uri} if mlflow_uri else {}
    if profile is None or profile.steps[step].nodes == 1:
        return own
    plan = train_job_plan(
        profile.steps[step], image=image, service_account=profile.service_account, env=own
    )
    return own | {PLAN_VARIABLE: plan.to_json()}


def read_package(file: Path) -> list[dict[str, Any]]:
    """The package's YAML documents: the pipeline spec and, where used, the platform's settings."""
    return list(YAML(typ="safe").load_all(file.read_text("utf-8")))


def step_images(
    profile: Profile | None, image: str | None, cpu_image: str | None = None
) -> dict[str, str]:
    """The image of every step: the given one, else the profile's, else this version's.

    Args:
        image: of every step.
        cpu_image: of the steps for which the profile requests no GPU, in place of `image`.
    """
    return {step: _step_image(profile, step, image, cpu_image) for step in STEPS}


def _step_image(
    profile: Profile | None, step: str, image: str | None, cpu_image: str | None
) -> str:
    if profile is None:
        return cpu_image or image or STEPS_IMAGE
    settings = profile.steps[step]
    if settings.gpu.count:
        return image or settings.image or STEPS_IMAGE
    return cpu_image or image or settings.image or STEPS_CPU_IMAGE


def check_image(image: str, profile: Profile | None = None) -> None:
    """Outside development a profile requires a digest: a tag can be moved."""
    _, at, digest = image.partition("@")
    if at and not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise UserError(
            f"the image '{image}' has no valid digest",
            code="image-invalid",
            hint="write ...@sha256: and 64 hexadecimal digits",
        )
    if not is_fixed(image):
        raise UserError(
            f"the image '{image}' has no fixed tag, so KFP's cache would return stale results",
            code="image-not-fixed",
            hint="name a version (decant-steps:0.2.0) or, better, a digest (...@sha256:...)",
        )
    if not at and profile and not profile.development:
        raise UserError(
            f"{profile.file}: image: '{image}' has no digest, and the tag can be moved",
            code="image-not-fixed",
            hint="push the image and give --image REGISTRY/decant-steps@sha256:<64 hex> (and "
            "--cpu-image of the steps without a GPU), or set `development: true` in the profile",
        )


def _refuse_two_tracking_uris(profile: Profile) -> None:
    """Of a variable set twice, Kubernetes would take the secret's or config map's."""
    for step, settings in profile.steps.items():
        for variable, source in settings.variables():
            if variable == TRACKING_URI and source != "env":
                raise UserError(
                    f"{profile.file}: {source} sets {TRACKING_URI} of {step}, "
                    "and --mlflow-uri is given too",
                    code="option-conflict",
                    hint="remove one of them",
                )
