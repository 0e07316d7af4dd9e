"""Compiling with a profile: whose image and whose MLflow server, and the command."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from decant.runner.steps_image import STEPS_CPU_IMAGE, STEPS_IMAGE
from decant.runtime.identity import PROJECT
from decant.runtime.steps import STEPS
from pipelines.arguments import pipeline_arguments
from pipelines.commands.compile import compile_command
from pipelines.kubeflow.compiling import read_package, step_images
from pipelines.profiles.profile import load_profile
from tests.errors import raises
from tests.pipelines.packages import compiled, container, written

PARAMS = PROJECT / "params.yaml"
DIGEST = f"registry.example.org/decant-steps@sha256:{'0123456789abcdef' * 4}"
WITH_ENV = f"""
all: {{image: '{DIGEST}', env: {{HF_HOME: /models, MLFLOW_TRACKING_URI: http://profile:5000}}}}
steps: {{distill: {{image: 'registry.example.org/other:1.2@sha256:{"f" * 64}'}}}}
"""


@pytest.fixture(scope="module")
def arguments() -> dict[str, str]:
    return pipeline_arguments(PARAMS)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ("decant-steps:0.1.0", "image-not-fixed"),
        (None, "image-not-fixed"),
        ("decant-steps:latest", "image-not-fixed"),
        ("decant-steps@sha256:abc", "image-invalid"),
        (f"decant-steps@sha256:{'A' * 64}", "image-invalid"),
    ],
)
def test_outside_development_an_image_needs_its_digest(
    image: str | None, code: str, tmp_path: Path, arguments: dict[str, str]
) -> None:
    with raises(code, image or STEPS_CPU_IMAGE):
        compiled(tmp_path, arguments, load_profile("gpu"), image=image)


def test_the_image_of_a_profile_is_checked_too(tmp_path: Path, arguments: dict[str, str]) -> None:
    tagged = "steps: {evaluate: {image: 'mine:1'}}"
    with raises("image-not-fixed", "mine.yaml", "'mine:1'"):
        compiled(tmp_path, arguments, written(tmp_path, f"all: {{image: '{DIGEST}'}}\n{tagged}"))
    package = compiled(tmp_path, arguments, written(tmp_path, f"development: true\n{tagged}"))
    assert container(package, "evaluate")["image"] == "mine:1"
    assert container(package, "ingest")["image"] == STEPS_CPU_IMAGE
    with raises("image-not-fixed", "'mine:latest'"):
        latest = "development: true\nall: {image: 'mine:latest'}"
        compiled(tmp_path, arguments, written(tmp_path, latest))


def test_steps_without_a_gpu_have_an_image_of_their_own() -> None:
    profile = load_profile("gpu")
    on_gpus = {"finetune", "transfer_weights", "distill"}
    assert {step for step in STEPS if profile.steps[step].gpu.count} == on_gpus
    for given, expected in (
        ((None, None), (STEPS_IMAGE, STEPS_CPU_IMAGE)),
        (("a:1", None), ("a:1", "a:1")),
        (("a:1", "b:1"), ("a:1", "b:1")),
        ((None, "b:1"), (STEPS_IMAGE, "b:1")),
    ):
        images = step_images(profile, *given)
        assert {step: images[step] for step in STEPS} == {
            step: expected[step not in on_gpus] for step in STEPS
        }
    assert set(step_images(load_profile("cpu"), None).values()) == {STEPS_CPU_IMAGE}
    assert set(step_images(None, None).values()) == {STEPS_IMAGE}
    assert set(step_images(None, "a:1", "b:1").values()) == {"b:1"}


def test_the_command_lines_image_and_server_win(tmp_path: Path, arguments: dict[str, str]) -> None:
    profile = written(tmp_path, WITH_ENV)
    package = compiled(tmp_path, arguments, profile, image=DIGEST, mlflow_uri="http://mine:1")
    for step in STEPS:
        assert container(package, step)["image"] == DIGEST
        uris = [one for one in container(package, step)["env"] if "MLFLOW" in one["name"]]
        assert uris == [{"name": "MLFLOW_TRACKING_URI", "value": "http://mine:1"}]
    assert {"name": "HF_HOME", "value": "/models"} in container(package, "ingest")["env"]


def test_two_servers_one_of_them_from_a_secret_are_refused(
    tmp_path: Path, arguments: dict[str, str]
) -> None:
    profile = written(
        tmp_path,
        f"all: {{image: '{DIGEST}', env_from_secrets: {{mlflow: {{uri: MLFLOW_TRACKING_URI}}}}}}",
    )
    with raises(
        "option-conflict", "env_from_secrets.mlflow", "MLFLOW_TRACKING_URI", "--mlflow-uri"
    ):
        compiled(tmp_path, arguments, profile, mlflow_uri="http://mine:1")
    package = compiled(tmp_path, arguments, profile)
    pods = package[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods["exec-register"]["secretAsEnv"][0]["secretName"] == "mlflow"


def test_the_command_takes_a_name_or_a_path(tmp_path: Path) -> None:
    file = tmp_path / "package.yaml"
    options = ["--params", str(PARAMS), "--output", str(file), "--profile"]
    for profile, memory in (("cpu", "6Gi"), (str(tmp_path / "mine.yaml"), "7Gi")):
        (tmp_path / "mine.yaml").write_text("development: true\nall: {memory: {limit: 7Gi}}\n")
        done = CliRunner().invoke(compile_command, [*options, profile], catch_exceptions=False)
        assert done.exit_code == 0
        assert f"steps from {STEPS_CPU_IMAGE}" in done.output
        limits = container(read_package(file), "distill")["resources"]
        assert limits["resourceMemoryLimit"] == memory
    with raises("profile-unknown", "'cpus'"):
        CliRunner().invoke(compile_command, [*options, "cpus"], catch_exceptions=False)
