"""What containers are given, and which images are refused. The daemon is a stand-in here; with a
real one tests/integration/test_docker_runner.py runs the pipeline.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from docker.errors import APIError, ContainerError, ImageNotFound
from kfp import local

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT, code_digest, lock_digest
from decant.runtime.process import this_process
from decant.runtime.steps import STEPS
from pipelines.__main__ import main
from pipelines.local_run import docker_runner
from pipelines.local_run.docker_runner import (
    PROCESS_LABEL,
    RUN_LABEL,
    _remove_lost_containers,
    check_image,
    container_arguments,
)
from pipelines.local_run.pipeline_run import run_pipeline
from pipelines.local_run.step_output import steps_shown
from tests.errors import raises

IMAGE = "decant-steps:9"
DIGESTS = {step: code_digest(step) for step in STEPS} | {"lock": lock_digest()}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a corpus and no encoder, a cache, a store of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    for name in ("MLFLOW_TRACKING_URI", "DECANT_TRACKING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DECANT_SPOOL", "spool")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///store/mlflow.db")
    return tmp_path


INGEST = {"local_corpus": "corpus", "local_encoder": "encoder"}


def arguments(root: Path, info: dict[str, Any] | None = None, gpus: bool = False) -> dict[str, Any]:
    return container_arguments(info or {}, INGEST, root, run_id="one", gpus=gpus)


class Daemon:
    """As much of a docker client as `check_image` asks."""

    def __init__(self, answer: bytes | Exception, *, missing: bool = False) -> None:
        self.answer, self.missing, self.requested = answer, missing, {}
        self.images = self.containers = self
        self.labels = {docker_runner.REVISION_LABEL: "abc-dirty"}

    def get(self, image: str) -> "Daemon":
        if self.missing:
            raise ImageNotFound("no such image")
        return self

    def run(self, image: str, command: list[str], **settings: Any) -> bytes:
        self.requested = {"image": image, "command": command, **settings}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_they_see_what_ingest_reads_the_cache_and_the_store_and_no_more(here: Path) -> None:
    given = arguments(here / "root")
    mounts = {mount["Target"]: (mount["Source"], mount["ReadOnly"]) for mount in given["mounts"]}
    assert mounts == {
        str(here / "corpus"): (str(here / "corpus"), True),
        str(here / "cache"): (str(here / "cache"), False),
        str(here / "store"): (str(here / "store"), False),
        str(here / "spool"): (str(here / "spool"), False),
    }
    assert given["environment"]["DECANT_SPOOL"] == str(here / "spool")
    assert all(mount["Type"] == "bind" for mount in given["mounts"])
    assert given["working_dir"] == str(here)
    assert (here / "store").is_dir() and (here / "cache").is_dir()


def test_a_linked_corpus_is_seen_under_its_own_name(here: Path) -> None:
    (here / "elsewhere").mkdir()
    (here / "corpus").rmdir()
    (here / "corpus").symlink_to(here / "elsewhere")
    mounts = {m["Target"]: m["Source"] for m in arguments(here / "root")["mounts"]}
    assert mounts[str(here / "corpus")] == str(here / "elsewhere")


def test_they_run_as_the_caller_without_rights(here: Path) -> None:
    given = arguments(here / "root")
    assert given["user"] == f"{os.getuid()}:{os.getgid()}"
    assert given["read_only"] and given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges"]
    assert given["labels"] == {RUN_LABEL: "one", PROCESS_LABEL: this_process().as_tag()}
    assert "device_requests" not in given
    rootless = arguments(here / "root", {"SecurityOptions": ["name=seccomp", "name=rootless"]})
    assert rootless["user"] == "0:0"
    guarded = arguments(here / "root", {"SecurityOptions": ["name=selinux"]}, gpus=True)
    assert guarded["security_opt"] == ["no-new-privileges", "label=disable"]
    assert guarded["device_requests"][0]["Capabilities"] == [["gpu"]]


def test_kfp_takes_every_argument(here: Path) -> None:
    given = arguments(here / "root", gpus=True)
    assert local.DockerRunner(**given).container_run_args == given


def test_the_environment_that_a_step_needs_reaches_it_and_no_other(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("DECANT_COMMIT", "not the image's")
    root = here / "root"
    environment = arguments(root)["environment"]
    assert environment["KFP_RUN_ID"] == "one"
    assert environment["AWS_ACCESS_KEY_ID"] == "key"
    assert environment["https_proxy"] == "http://proxy:1"
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["DECANT_CACHE"] == str(here / "cache")
    assert environment["TMPDIR"] == environment["HOME"] == str(root / "tmp")
    assert (root / "tmp").is_dir()
    assert not {"SSH_AUTH_SOCK", "DECANT_COMMIT", "PATH", "PYTHONPATH"} & set(environment)


@pytest.mark.parametrize(
    ("uri", "inside", "mounted"),
    [
        ("sqlite:///store/mlflow.db", "sqlite:///{here}/store/mlflow.db", "store"),
        ("sqlite:////{here}/other/a.db", "sqlite:///{here}/other/a.db", "other"),
        ("http://mlflow:5000", "http://mlflow:5000", None),
        ("runs", "file://{here}/runs", "runs"),
        ("file://{here}/a%20b", "file://{here}/a%20b", "a b"),
    ],
)
def test_a_local_store_is_mounted_where_its_uri_says(
    uri: str, inside: str, mounted: str | None, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(here=here).replace("////", "///"))
    given = arguments(here / "root")
    assert given["environment"]["MLFLOW_TRACKING_URI"] == inside.format(here=here)
    others = {str(here / name) for name in ("corpus", "cache", "spool")}
    stores = {m["Target"] for m in given["mounts"]} - others
    assert stores == ({str(here / mounted)} if mounted else set())


def test_a_spool_in_a_bucket_needs_no_mount(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_SPOOL", "s3://bucket/spool")
    given = arguments(here / "root")
    assert given["environment"]["DECANT_SPOOL"] == "s3://bucket/spool"
    assert not [mount for mount in given["mounts"] if mount["Target"].endswith("spool")]


def test_untracked_runs_have_no_store(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_TRACKING", "off")
    given = arguments(here / "root")
    mounted = {mount["Target"] for mount in given["mounts"]}
    assert not mounted & {str(here / "store"), str(here / "spool")}
    assert given["environment"]["DECANT_TRACKING"] == "off"


def test_an_image_of_this_checkouts_code_is_taken() -> None:
    daemon = Daemon(f"a warning\n{json.dumps(DIGESTS)}\n".encode())
    check_image(daemon, IMAGE, {"user": "1:1"})
    assert daemon.requested["image"] == IMAGE
    assert daemon.requested["user"] == "1:1"
    assert daemon.requested["remove"] is True


def test_what_the_image_reports_is_what_this_checkout_answers() -> None:
    """The program that runs in the image, run here."""
    done = subprocess.run(
        [sys.executable, "-c", docker_runner._DIGESTS],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == DIGESTS


def test_an_image_of_other_code_is_refused_with_the_steps_that_differ() -> None:
    other = {**DIGESTS, "distill": "0"}
    del other["evaluate"]
    with raises(
        "image-outdated", "decant-steps:9", "abc-dirty", ": distill, evaluate", "make image"
    ):
        check_image(Daemon(json.dumps(other).encode()), IMAGE, {})


@pytest.mark.parametrize(
    ("daemon", "code", "value"),
    [
        (Daemon(b"", missing=True), "image-missing", "make image"),
        (Daemon(b""), "image-invalid", "make image"),
        (
            Daemon(ContainerError(None, 1, "python", IMAGE, b"Traceback\nNo module named 'x'\n")),
            "image-invalid",
            "No module named 'x'",
        ),
        (
            Daemon(APIError("500", explanation="bind source path does not exist: /a")),
            "docker-failed",
            "bind source path does not exist: /a",
        ),
    ],
)
def test_an_image_that_cannot_be_used_is_refused(daemon: Daemon, code: str, value: str) -> None:
    with raises(code, IMAGE, value):
        check_image(daemon, IMAGE, {})


def test_without_a_daemon_nothing_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{here}/no.sock")
    from pipelines.arguments import pipeline_arguments

    given = pipeline_arguments(PROJECT / "params.yaml")
    with raises("docker-unreachable", f"unix://{here}/no.sock"):
        run_pipeline(given, here / "out", run_id="one", image=IMAGE)
    assert not any((here / "out").iterdir())


def test_containers_append_their_output_to_a_file_that_they_see(here: Path) -> None:
    root = (here / "out" / ".kfp").resolve()  # which KFP mounts under the same path
    root.mkdir(parents=True)
    with steps_shown(root):
        environment = arguments(root)["environment"]
    assert Path(environment["DECANT_OUTPUT"]).parent == root


@pytest.mark.parametrize("option", [["--image", IMAGE], ["--gpus"]])
def test_options_of_containers_are_refused_without_them(option: list[str]) -> None:
    result = CliRunner().invoke(main, ["run", *option])
    assert isinstance(result.exception, UserError)
    assert "--runner docker" in result.exception.hint


def test_kfps_own_clients_wait_as_long_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    import docker.client

    import docker

    timeouts: list[float] = []
    monkeypatch.setattr(
        docker.client, "APIClient", lambda **given: timeouts.append(given["timeout"])
    )
    with docker_runner._patient_clients():
        docker.from_env()
    docker.from_env()
    assert timeouts == [docker_runner.PATIENCE_SECONDS, docker.client.DEFAULT_TIMEOUT_SECONDS]
    assert timeouts[0] > timeouts[1]


def test_containers_of_a_killed_run_are_removed_by_the_next_one() -> None:
    _, _, host = this_process().as_tag().split(" ", 2)
    tags = {
        "killed": f"{os.getpid()} 1.0 {host}",  # its number is another process's now
        "running": this_process().as_tag(),
        "elsewhere": "1 1.0 another machine",
    }
    removed: list[str] = []

    def container(name: str) -> SimpleNamespace:
        return SimpleNamespace(
            labels={PROCESS_LABEL: tags[name]}, remove=lambda force: removed.append(name)
        )

    def listed(*, all: bool, filters: dict[str, str]) -> list[SimpleNamespace]:
        assert all and filters == {"label": PROCESS_LABEL}
        return [container(name) for name in tags]

    _remove_lost_containers(SimpleNamespace(containers=SimpleNamespace(list=listed)))
    assert removed == ["killed"]
