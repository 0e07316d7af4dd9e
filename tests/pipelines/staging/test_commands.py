"""compile, submit, schedule and doctor with local data, on a Kubeflow server on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from decant import sources
from decant.runtime.identity import PROJECT, file_digest
from pipelines.commands.compile import compile_command
from pipelines.kubeflow.compiling import read_package
from pipelines.preflight.check_result import Result
from tests.errors import raises
from tests.pipelines.conftest import Cli
from tests.pipelines.kfp_server import KfpServer
from tests.pipelines.staging.conftest import ROWS, Sides

MLFLOW = ("--mlflow-uri", "http://mlflow.example:5000")
EVERY_HOUR = ("--name", "hourly", "--every", "1h")


@pytest.fixture(autouse=True)
def at_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decant.runtime.git_repository.git_commit", lambda: "0" * 40)


@pytest.fixture
def local(sides: Sides) -> tuple[str, ...]:
    """Options for a corpus of this machine and the profile with the claim."""
    return ("--set", f"ingest.source={sides.corpus}", "--profile", str(sides.profile.file))


def ingest_of(run: dict[str, Any]) -> dict[str, Any]:
    given = run["runtime_config"]["parameters"]["ingest_params"]
    found: dict[str, Any] = json.loads(given)
    return found


def test_submit_sends_once_and_names_what_was_sent(
    server: KfpServer, cli: Cli, sides: Sides, local: tuple[str, ...]
) -> None:
    first = cli("submit", *local, "--staging", sides.staging, *MLFLOW)
    second = cli("submit", *local, "--staging", sides.staging, *MLFLOW)
    assert (first.code, second.code) == (0, 0)
    digest = file_digest(sides.corpus)
    assert f"ingest.source: sending {sides.corpus} (4.4 kB)" in first.out
    assert f"ingest.source: is there already: file://{sides.staging}/{digest}" in second.out
    assert "sending" not in second.out
    assert len(server.api.versions) == 1 and len(server.api.runs) == 2
    (uri,) = {ingest_of(run)["source"] for run in server.api.runs}
    assert uri == f"file://{sides.staging}/{digest}/reviews.csv#sha256={digest}"
    sides.corpus.unlink()
    assert sources.fetch(uri).read_bytes() == ROWS


@pytest.mark.parametrize(
    ("command", "options"), [("submit", MLFLOW), ("schedule", (*MLFLOW, *EVERY_HOUR))]
)
def test_without_a_place_nothing_starts(
    server: KfpServer,
    cli: Cli,
    sides: Sides,
    local: tuple[str, ...],
    command: str,
    options: tuple[str, ...],
) -> None:
    ended = cli(command, *local, *options)
    assert ended.code == 2
    assert "error[source-local]" in ended.message
    assert str(sides.corpus) in ended.message and "--staging" in ended.message
    assert not server.requests
    api = server.api
    assert not (api.pipelines or api.versions or api.runs or api.schedules or api.experiments)
    sent = cli(command, *local, *options, "--staging", sides.staging)
    assert sent.code == 0
    assert len(api.runs) + len(api.schedules) == 1


def test_a_server_that_refuses_gets_no_data(
    server: KfpServer, cli: Cli, sides: Sides, local: tuple[str, ...]
) -> None:
    server.tokens = {"another"}
    ended = cli("submit", *local, "--staging", sides.staging, *MLFLOW)
    assert ended.code == 2 and "cluster-access-denied" in ended.message
    assert list(sides.shared.iterdir()) == []


def test_compile_sends_and_writes_the_package_after_it(
    sides: Sides, local: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "out" / "package.yaml"
    options = [*local, "--params", str(PROJECT / "params.yaml"), "--output", str(package)]
    with raises("source-local", str(sides.corpus)):
        CliRunner().invoke(compile_command, options, catch_exceptions=False)
    assert not package.exists()
    options += ["--staging", sides.staging]
    done = CliRunner().invoke(compile_command, options, catch_exceptions=False)
    assert done.exit_code == 0
    assert [one.name for one in package.parent.iterdir()] == ["package.yaml"]
    inputs = read_package(package)[0]["root"]["inputDefinitions"]["parameters"]
    uri = json.loads(inputs["ingest_params"]["defaultValue"])["source"]
    assert sources.fetch(uri).read_bytes() == ROWS

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    package.unlink()
    sides.corpus.write_bytes(ROWS + b"one more,1\n")
    monkeypatch.setattr("pipelines.staging.staging_place.shutil.copyfile", refuse)
    with raises("staging-failed", "Permission denied"):
        CliRunner().invoke(compile_command, options, catch_exceptions=False)
    assert list(package.parent.iterdir()) == []  # no package that names what is not there


def test_an_unpinned_file_on_a_claim_is_read_in_every_run(
    server: KfpServer, cli: Cli, sides: Sides
) -> None:
    """Kubeflow's cache compares the path alone."""
    profile = ("--profile", str(sides.profile.file))
    source = f"ingest.source={sides.shared}/new.csv"
    ended = cli("submit", "--set", source, *profile, *MLFLOW)
    assert ended.code == 0
    assert f"read from {sides.shared}/new.csv on the claim team" in ended.out
    (version,) = server.api.versions
    tasks = server.api.packages[version["pipeline_version_id"]][0]["root"]["dag"]["tasks"]
    assert not tasks["ingest"]["cachingOptions"] and tasks["tokenize"]["cachingOptions"]
    pinned = f"ingest.source=file://{sides.shared}/new.csv#sha256={'a' * 64}"
    assert "not answered" not in cli("submit", "--set", pinned, *profile, *MLFLOW).out
    *_, version = server.api.versions
    tasks = server.api.packages[version["pipeline_version_id"]][0]["root"]["dag"]["tasks"]
    assert tasks["ingest"]["cachingOptions"]


@pytest.fixture
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow, GPU and DVC have tests of their own."""
    for place, name in (
        ("gpu_check.check_gpu", "GPU"),
        ("storage_check.check_dvc_remote", "DVC remote"),
    ):
        result = Result(name=name, status="skipped", detail="not here")
        monkeypatch.setattr(f"pipelines.preflight.{place}", lambda *_, result=result: result)
    yield


def doctor_rows(out: str) -> dict[str, tuple[str, str]]:
    parts = (line.split("\t") for line in out.splitlines())
    return {name: (status, detail) for name, status, detail, _ in parts}


def test_doctor_says_where_the_data_goes_and_sends_nothing(
    server: KfpServer, cli: Cli, sides: Sides, local: tuple[str, ...], no_surroundings: None
) -> None:
    refused = doctor_rows(cli("doctor", *local).out)
    assert refused["package"][0] == "failed"
    assert str(sides.corpus) in refused["package"][1]
    found = doctor_rows(cli("doctor", *local, "--staging", sides.staging).out)
    assert found["data"][0] == "ok"
    assert "will be sent" in found["data"][1] and sides.staging in found["data"][1]
    assert list(sides.shared.iterdir()) == []
    cli("submit", *local, "--staging", sides.staging, *MLFLOW)
    found = doctor_rows(cli("doctor", *local, "--staging", sides.staging).out)
    assert "is there" in found["data"][1]


def test_doctor_says_what_retries_do(
    server: KfpServer, cli: Cli, no_surroundings: None, tmp_path: Path
) -> None:
    found = doctor_rows(cli("doctor", "--profile", "cpu").out)
    status, detail = found["retries"]
    assert status == "ok"
    assert "ingest 3" in detail and "register 3" in detail and "lost pod" in detail
    YAML().dump({"development": True}, tmp_path / "none.yaml")
    assert "retries" not in doctor_rows(cli("doctor", "--profile", str(tmp_path / "none.yaml")).out)
