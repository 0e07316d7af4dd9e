"""decant doctor: all checks, as a table and an exit code."""

import re
from pathlib import Path

import pytest

from pipelines.preflight.check_result import Result
from tests.pipelines.conftest import SECRETS, Cli, Ended
from tests.pipelines.kfp_server import KfpServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def surroundings(far_from_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow, GPU and DVC have tests of their own; they would take this machine's."""
    monkeypatch.setattr("decant.runtime.git_repository.git_commit", lambda: COMMIT)
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))
    for place, name in (
        ("gpu_check.check_gpu", "GPU"),
        ("storage_check.check_dvc_remote", "DVC remote"),
    ):
        result = Result(name=name, status="skipped", detail="not here")
        monkeypatch.setattr(f"pipelines.preflight.{place}", lambda *_, result=result: result)


def rows(ended: Ended) -> dict[str, tuple[str, str]]:
    """Check to result and detail."""
    parts = (line.split("\t") for line in ended.out.splitlines())
    return {name: (status, detail) for name, status, detail, _ in parts}


def test_a_good_cluster(server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_KFP_TOKEN", SECRETS[0])
    server.tokens = {SECRETS[0]}
    image = "127.0.0.1:9/decant-steps@sha256:" + "ab" * 32
    ended = cli("doctor", "--image", image)
    found = rows(ended)
    assert ended.code == 0
    assert {name: status for name, (status, _) in found.items()} == {
        "parameters": "ok",
        "package": "ok",
        "commit": "ok",
        "image pinned": "ok",
        "image there": "skipped",
        "server": "ok",
        "server version": "ok",
        "credentials": "ok",
        "MLflow": "skipped",
        "GPU": "skipped",
        "DVC remote": "skipped",
        "disk: cache": found["disk: cache"][0],
        "disk: work folder": found["disk: work folder"][0],
    }
    assert found["server"][1] == f"{server.url}, for one user"
    assert not (server.api.pipelines or server.api.runs or server.api.experiments)


def test_what_failed_sets_the_exit_code(
    server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("DECANT_KFP_TOKEN", SECRETS[0])
    server.tokens = set()
    ended = cli("doctor", "--set", "distill.nonsense=1")
    found = rows(ended)
    assert ended.code == 1
    assert found["parameters"][0] == "failed"
    assert "distill.nonsense" in found["parameters"][1]
    assert found["package"] == ("skipped", "not compiled: see parameters")
    assert found["server"][0] == "failed"
    assert "refuses the token in DECANT_KFP_TOKEN (HTTP 401)" in found["server"][1]
    assert "credentials" not in found
    assert found["MLflow"] == ("failed", "no MLflow server is set for the steps on the cluster")
    assert "disk: work folder" in found  # a failed check does not stop the others


def test_a_server_of_the_cluster_alone(cli: Cli) -> None:
    ended = cli("doctor", host="http://ml-pipeline.kubeflow.svc.cluster.local:8888")
    status, detail = rows(ended)["server"]
    assert status == "failed"  # nothing can be submitted from here
    assert "only the cluster reaches this address; not checked: version" in detail
    assert "kubectl port-forward" in ended.out


def test_a_moving_image(cli: Cli) -> None:
    found = rows(cli("doctor", "--image", "decant-steps:latest"))
    assert found["package"][0] == "failed"
    assert "no fixed tag" in found["package"][1]


def test_without_a_cluster(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.kubeflow.cluster_options import ServerOptions

    monkeypatch.setattr(ServerOptions, "is_given", False)
    found = rows(cli("doctor"))
    assert found["server"] == ("skipped", "no --host")
    assert found["image pinned"][0] == "warning"
    assert "names no registry" in found["image there"][1]


def test_a_table_on_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    table = re.sub(r"\x1b\[[0-9;]*m", "", cli("doctor").out)
    assert table.splitlines()[0].split() == ["check", "result", "detail", "hint"]
    assert re.search(r"server version +ok +server 2\.17\.0, SDK 2\.17", table)
