"""A Docker daemon where one is up; and parameters by which one process and several compare."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from decant.runner.steps_image import STEPS_IMAGE
from decant.runtime.artifacts import read_json, write_json
from decant.runtime.errors import UserError


@pytest.fixture(scope="session")
def calm_params(tiny_params: dict[str, Any], calm_encoder: Path) -> dict[str, Any]:
    """Without dropout, and with batches that leave no rest: nothing then depends on the number."""
    content: dict[str, Any] = json.loads(json.dumps(tiny_params))
    encoder = str(calm_encoder)
    content["ingest"] |= {"label_budget": 96, "encoder": encoder, "local_encoder": encoder}
    content["finetune"]["heads"]["linear"]["dropout"] = 0.0
    content["finetune"]["training"] |= {"epochs": 2, "learning_rate": 0.001}
    content["transfer_weights"]["embedding_dropout"] = 0.0
    content["transfer_weights"]["students"]["cnn"]["dropout"] = 0.0
    content["distill"] |= {"transfer_rows": 640, "epoch_rows": 640, "hidden_weight": 0.5}
    return content


@pytest.fixture(scope="session")
def calm_encoder(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "calm"
    shutil.copytree(tiny_encoder, folder)
    config = read_json(folder / "config.json")
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    write_json(folder / "config.json", config)
    return folder


@pytest.fixture(scope="session")
def daemon() -> Any:
    """A client of a daemon that has the steps image of this checkout."""
    from docker.errors import DockerException

    import docker
    from pipelines.local_run.docker_runner import PATIENCE_SECONDS, check_image

    try:
        client = docker.from_env(timeout=PATIENCE_SECONDS)
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker daemon answers: {error}")
    try:
        check_image(client, STEPS_IMAGE, {"network_mode": "host"})
    except UserError as error:
        pytest.skip(str(error))
    return client
