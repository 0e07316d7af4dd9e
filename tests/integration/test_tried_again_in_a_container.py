"""A step in a real container whose download fails twice and then succeeds."""

from pathlib import Path
from typing import Any

import pytest
from docker.types import Mount

from decant.runner.steps_image import STEPS_IMAGE
from pipelines.local_run.docker_runner import container_arguments
from tests.flaky_server import FlakyServer, serving

pytestmark = pytest.mark.slow

ROWS = b"text,label\n" + b"".join(
    f"{'good' if n % 2 else 'bad'} film number {n},{n % 2}\n".encode() for n in range(200)
)


def test_ingest_tries_its_download_again(
    daemon: Any, tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the machine's network, as `--runner docker` gives it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DECANT_TRACKING", "off")
    monkeypatch.setenv("DECANT_RETRY_SECONDS", "10")
    watched = {"local_corpus": str(tmp_path / "none"), "local_encoder": str(tiny_encoder)}
    arguments = container_arguments(daemon.info(), watched, tmp_path, run_id="flaky", gpus=False)
    arguments["mounts"].append(Mount(str(tmp_path), str(tmp_path), type="bind"))
    with serving(FlakyServer({"/a.csv": ROWS}, failures=4)) as server:  # two HEADs, two GETs
        settings = {
            **watched,
            "source": server.pinned("/a.csv"),
            "encoder": str(tiny_encoder),
            "label_column": "label",
            "group_by": "null",
            "labels": "null",
            "unlabelled_labels": "[]",
            "label_budget": "null",
        }
        words = ["python", "-m", "components", "ingest", "--params", "/src/params.yaml"]
        words += [f"--set=ingest.{name}={value}" for name, value in settings.items()]
        words += [f"--corpus={tmp_path}/corpus", f"--encoder={tmp_path}/encoder"]
        output = daemon.containers.run(STEPS_IMAGE, words, remove=True, stderr=True, **arguments)
        assert server.asked.count("GET /a.csv") == 3
    lines = [line for line in output.decode().splitlines() if "attempt" in line]
    assert len(lines) == 2
    assert all(line.startswith("ingest warning: fetching") for line in lines)
    assert (tmp_path / "corpus" / "card.json").is_file()
