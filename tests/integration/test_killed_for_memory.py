"""A step that a memory limit kills in a real container, and what Decant says of it."""

from pathlib import Path
from typing import Any

import pytest
from docker.types import Mount

from decant.runner.steps_image import STEPS_IMAGE
from decant.runtime.identity import PROJECT
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow.causes import cause_of
from pipelines.kubeflow.states import Task
from pipelines.kubeflow.step_log import KILLED, read_step_log
from pipelines.kubeflow.task_needs import Needs
from pipelines.local_run import docker_runner
from pipelines.local_run.pipeline_run import run_pipeline
from tests.errors import raises
from tests.integration.checkout import write_data

pytestmark = pytest.mark.slow

LIMIT = 48 * 1024**2  # Python starts with it, but no step's libraries fit
LIMITS = {"mem_limit": LIMIT, "memswap_limit": LIMIT}  # no swap either, as in a pod


@pytest.fixture
def limited(daemon: Any) -> Any:
    """The daemon, where it enforces memory limits."""
    if not daemon.info().get("MemoryLimit"):
        pytest.skip("this Docker daemon enforces no memory limits: its kernel has no such cgroup")
    return daemon


@pytest.fixture
def here(tmp_path: Path, tiny_params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with data, an encoder, and parameters with relative paths."""
    folder = tmp_path / "here"
    write_data(folder, tiny_params)
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DECANT_TRACKING", "off")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.chdir(folder)
    return folder


def test_follow_names_the_limit_and_its_setting(limited: Any, here: Path) -> None:
    """The exit code and the log are a real container's; the last line is written as KFP's launcher,
    which runs in pods alone, writes it."""
    watched = {"local_corpus": "data/corpus", "local_encoder": "data/encoder"}
    arguments = docker_runner.container_arguments(
        limited.info(), watched, here, run_id="killed", gpus=False
    )
    arguments["mounts"].append(Mount(str(here), str(here), type="bind"))
    words = ["python", "-m", "components", "ingest", "--params=params.yaml"]
    words += ["--corpus=corpus", "--encoder=encoder"]
    container = limited.containers.run(STEPS_IMAGE, words, detach=True, **arguments, **LIMITS)
    try:
        exit_code = container.wait()["StatusCode"]
        text = container.logs().decode()
        container.reload()
        assert (exit_code, container.attrs["State"]["OOMKilled"]) == (KILLED, True), text
    finally:
        container.remove(force=True)
    assert not (here / "corpus" / "card.json").exists()

    launcher = f"F1127 11:31:47.862456      16 main.go:130] failed: exit status {exit_code}\n"
    log = read_step_log(text + launcher)
    ingest = Task(name="ingest", state="FAILED", error="", started=None, ended=None)
    assert cause_of(ingest, log, "", Needs(memory_limit="48Mi")) == (
        "killed for memory (exit code 137): its limit is 48Mi",
        "  hint: raise steps.ingest.memory.limit in the profile",
    )


def test_a_local_run_says_that_memory_may_have_lacked(
    limited: Any, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the daemon's virtual machine is too small: Decant sets no limit itself."""
    # In place of the check, which the fixture has made: what it is given is what the steps get.
    monkeypatch.setattr(docker_runner, "check_image", lambda *given: given[2].update(LIMITS))
    arguments = pipeline_arguments(here / "params.yaml", [])
    with raises("pipeline-failed", "step ingest failed", "killed", "lack of memory"):
        run_pipeline(arguments, tmp_path / "run", run_id="killed", image=STEPS_IMAGE)
    left = limited.containers.list(filters={"label": f"{docker_runner.RUN_LABEL}=killed"})
    assert left == []
