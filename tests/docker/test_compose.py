"""What can be told of docker/compose.yaml without a daemon."""

import re
import subprocess
from typing import Any

import pytest
from ruamel.yaml import YAML

from decant.runner.steps_image import SERVE_IMAGE
from decant.runtime.identity import PROJECT

FOLDER = PROJECT / "docker"
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|TOKEN")
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(YAML(typ="safe").load((FOLDER / "compose.yaml").read_text("utf-8")))


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    lines = (FOLDER / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))  # type: ignore[arg-type]


def test_every_image_is_pinned_and_ours_has_the_projects_version(compose: dict[str, Any]) -> None:
    version = SERVE_IMAGE.partition(":")[2]
    for service in compose["services"].values():
        image = re.sub(r"\$\{DECANT_VERSION:-(.*?)\}", r"\1", service["image"])
        name, _, tag = image.rpartition(":")
        assert re.search(r"\d+\.\d+", tag), image
        assert name != "decant-mlflow" or tag == version


def test_secrets_come_from_the_environment_alone_and_none_is_a_default(
    compose: dict[str, Any], example: dict[str, str]
) -> None:
    required = set()
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                match = REQUIRED.fullmatch(value)
                assert match, f"{name} is no required variable"
                required.add(match[1])
            else:
                assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), f"{name} has a password"
        words = " ".join(map(str, service.get("command", [])))
        assert not re.search(r"\$\{", words), "secrets in arguments are seen in `ps`"
    assert required == set(example)
    assert set(example.values()) == {""}


def test_the_filled_in_file_is_committed_by_nobody(compose: dict[str, Any]) -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "--quiet", "docker/.env"], cwd=PROJECT, check=False
    )
    assert ignored.returncode == 0


def test_what_runs_on_is_watched_and_waited_for(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        if name == "bucket":
            assert service["healthcheck"] == {"disable": True}
            continue
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["restart"] == "unless-stopped"
    assert services["mlflow"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "bucket": {"condition": "service_completed_successfully"},
    }
    assert services["bucket"]["depends_on"] == {"store": {"condition": "service_healthy"}}


def test_state_is_in_named_volumes(compose: dict[str, Any]) -> None:
    mounted = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
    }
    assert mounted == set(compose["volumes"]) == {"database", "artifacts"}


def test_only_mlflow_is_reached_from_outside_and_by_default_from_here(
    compose: dict[str, Any],
) -> None:
    ports = {name: service.get("ports") for name, service in compose["services"].items()}
    assert ports.pop("mlflow") == ["${MLFLOW_BIND:-127.0.0.1}:${MLFLOW_PORT:-5000}:5000"]
    assert not any(ports.values())


def test_the_server_hands_artifacts_on_and_knows_where_they_are(compose: dict[str, Any]) -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text("utf-8")
    assert '"--serve-artifacts"]' in dockerfile
    environment = compose["services"]["mlflow"]["environment"]
    bucket = environment["MLFLOW_ARTIFACTS_DESTINATION"].removeprefix("s3://")
    assert f'create_bucket(Bucket="{bucket}")' in compose["services"]["bucket"]["command"][2]
    assert environment["MLFLOW_S3_ENDPOINT_URL"] == environment["AWS_ENDPOINT_URL_S3"]
    compile(compose["services"]["bucket"]["command"][2], "bucket", "exec")
