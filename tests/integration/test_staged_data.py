"""Local data through the whole DAG as on a cluster: the folder that both sides reach is all it has.

The package's own arguments run in KFP's local runner, in subprocesses and in containers, after the
data has gone from the place where it stood.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest

from decant.runner.steps_image import STEPS_IMAGE
from decant.runtime.artifacts import read_json
from decant.runtime.identity import PROJECT, content_digest
from pipelines.local_run.pipeline_run import artifact_folder, run_pipeline
from pipelines.profiles.profile import Profile, load_profile
from pipelines.staging.sending import cluster_arguments, send_all
from tests.integration.checkout import write_data

pytestmark = pytest.mark.slow


@pytest.fixture(params=["subprocess", "docker"])
def image(request: pytest.FixtureRequest) -> str | None:
    """None for subprocesses; skipped where no daemon has the steps image of this checkout."""
    if request.param == "subprocess":
        return None
    request.getfixturevalue("daemon")
    return STEPS_IMAGE


@pytest.fixture
def here(tmp_path: Path, tiny_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data, an encoder, and parameters with relative paths."""
    folder = tmp_path / "here"
    write_data(folder, tiny_params)
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DECANT_TRACKING", "on")
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """It mounts the claim `team` at the folder that both sides reach."""
    (tmp_path / "shared").mkdir()
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"development: true\nstaging: {tmp_path}/shared/decant\n"
        f"all: {{volumes: {{team: {{path: {tmp_path}/shared}}}}}}\n"
    )
    return load_profile(str(file))


def test_what_is_sent_to_the_folder_and_what_is_on_the_claim(
    here: Path, profile: Profile, image: str | None, tmp_path: Path
) -> None:
    """Rows and encoder are sent, more texts are on the claim already."""
    texts = tmp_path / "shared" / "more.txt"
    texts.write_text("".join(f"a film with plot number {number}\n" for number in range(20)))
    overrides = [f"ingest.unlabelled=[{texts}]"]
    arguments, placed = cluster_arguments(here / "params.yaml", overrides, profile, None)
    send_all(placed)
    encoder = content_digest(here / "data" / "encoder" / "model.safetensors")
    shutil.rmtree(here / "data")
    run_pipeline(arguments, tmp_path / "run", run_id="staged", image=image)
    found = tmp_path / "run" / artifact_folder("encoder") / "model.safetensors"
    assert content_digest(found) == encoder
    metrics = read_json(tmp_path / "run" / artifact_folder("corpus") / "card.json")["metrics"]
    assert metrics["rows_in"] == 400 + 20, metrics
    receipt = read_json(tmp_path / "run" / artifact_folder("receipt") / "receipt.json")
    assert receipt["registered"] is True
