"""A Kubeflow Pipelines server on loopback, and the commands that talk to it, in this process."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

from decant.runtime.identity import PROJECT
from pipelines.__main__ import entry
from tests.pipelines.kfp_server import KfpServer, serving

SECRETS = ("s3cret-token", "pass+word/with ümlaut", "session-cookie-1", "session-cookie-2")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The error in one line: problem and hint."""
        return " ".join(self.err.split())


Cli = Callable[..., Ended]


class _ShortStacks:
    """The module `inspect`, whose `stack()` has what kfp reads of it: the caller's name."""

    def __getattr__(self, name: str) -> object:
        return getattr(inspect, name)

    def stack(self) -> list[list[object]]:
        caller = sys._getframe(2).f_code.co_name
        return [[], [None, None, None, caller]]


@pytest.fixture(autouse=True, scope="session")
def short_stacks() -> Iterator[None]:
    """kfp walks the whole stack at each setting of a task, only to name its caller in an error.

    It reads the source of each frame, and a test has fifty: more than a third of a compilation.
    """
    from kfp.dsl import pipeline_task

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_task, "inspect", _ShortStacks())
        yield


@pytest.fixture
def far_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home in which kfp must leave nothing, and an environment that names no cluster."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [*os.environ]:
        if name.startswith(("DECANT_KFP", "KF_PIPELINES", "KUBERNETES_", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home / name))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield home
    assert not [path for path in home.rglob("*") if "kfp" in path.name]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting times of tests."""
    retry = urllib3.Retry(
        total=2,
        redirect=False,
        status_forcelist={429, 502, 503, 504},
        allowed_methods={"GET"},
        raise_on_status=False,
    )
    monkeypatch.setattr("pipelines.kubeflow.connection.RETRY", retry)
    monkeypatch.setattr("pipelines.kubeflow.connection.TIMEOUTS_SECONDS", (20, 20))
    monkeypatch.setattr("pipelines.kubeflow.upload.RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr("pipelines.kubeflow.run_progress.POLL_SECONDS", 0.01)
    monkeypatch.setattr("pipelines.kubeflow.run_progress.BACKOFF_SECONDS", (0.01, 0.02))
    monkeypatch.setattr("pipelines.kubeflow.run_progress.OUTAGE_SECONDS", 0.5)


@pytest.fixture
def server(far_from_home: Path, quick: None) -> Iterator[KfpServer]:
    with serving(KfpServer()) as running:
        yield running


@pytest.fixture
def cli(
    server: KfpServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cli:
    """Run a command as the program does; no output has a traceback or a secret."""

    def run(command: str, *arguments: str, host: str = "") -> Ended:
        words = [command, "--host", host or server.url, *arguments]
        if command in ("submit", "schedule", "doctor") and "--params" not in arguments:
            words += ["--params", str(PROJECT / "params.yaml")]
        monkeypatch.setattr(sys, "argv", ["python -m pipelines", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            entry()
        out, err = capsys.readouterr()
        for secret in SECRETS:
            assert secret not in out + err
        assert "Traceback" not in out + err
        return Ended(int(ended.value.code or 0), out, err)

    return run
