"""The same on the embedded store and on a team's server: steps, versions, aliases, their history.

The server has PostgreSQL behind it, hands artifacts on, and asks for a token.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from decant.runtime.identity import PROJECT
from decant.tracking.mlflow_store import open_client
from decant.tracking.spool import Spool, spool_uri
from decant.tracking.tracked_step import Origin, tracked_step
from tests.errors import raises
from tests.mlflow_server import asking_for, free_port, postgres, serving
from tests.pipelines.registry.conftest import Cli, Register
from tests.spooling import Params, logged, quiet_reporter, run_step

pytestmark = pytest.mark.slow

TOKEN = "s3cr3t-t0k3n"


@dataclass
class Server:
    """A server that can be ended and started again; `url` is that of the door before it."""

    url: str
    database: str
    folder: Path
    port: int

    def running(self) -> AbstractContextManager[str]:
        command = ["server", "--workers", "1", "--backend-store-uri", self.database]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), "--serve-artifacts"]
        return serving(command, self.folder / "server.log", self.folder, port=self.port)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    with postgres() as database, asking_for(TOKEN, f"http://127.0.0.1:{port}") as url:
        yield Server(url, database, tmp_path_factory.mktemp("server"), port)


@pytest.fixture
def address(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the server, which does not run yet; the environment of a step that tracks there."""
    for name in ("MLFLOW_RUN_ID", "DVC_EXP_NAME", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DECANT_TRACKING", "on")
    monkeypatch.setenv("DECANT_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("KFP_RUN_ID", tmp_path.name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    return server.url


@pytest.fixture(params=["SQLite", "server"])
def store(store: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The tracking URI of a store."""
    if request.param == "SQLite":
        yield store
        return
    address: str = request.getfixturevalue("address")
    if request.param == "server, down":
        yield address
        return
    with request.getfixturevalue("server").running():
        yield address


def test_what_works_on_one_store_works_on_the_other(
    store: str, register: Register, cli: Cli, tmp_path: Path
) -> None:
    _steps_are_tracked(store, tmp_path)
    _versions_are_registered(register)
    _aliases_move(cli)
    _versions_are_shown(cli, tmp_path)


def _steps_are_tracked(store: str, tmp_path: Path) -> None:
    ingest = run_step("ingest", key="i")
    distill = run_step("distill", Origin("ingest", "i", ingest.step_runs), key="d")
    client = open_client()
    child = client.get_run(distill.run_id)
    parent = client.get_run(child.data.tags["mlflow.parentRunId"])
    assert (child.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert child.data.tags["decant.behind.ingest"] == ingest.run_id
    assert child.data.params == {"distill.epochs": "2", "distill.rate": "0.5"}
    points = client.get_metric_history(distill.run_id, "loss _train_")
    assert [(point.step, point.value) for point in points] == [(1, 0.75), (2, 0.5)]
    assert parent.data.metrics["distill/accuracy"] == 0.8
    file = client.download_artifacts(distill.run_id, "student/card.json", str(tmp_path))
    assert Path(file).read_text() == "{}"
    served = child.info.artifact_uri.startswith("mlflow-artifacts:")
    assert served == store.startswith("http"), "the server hands artifacts on"


def _versions_are_registered(register: Register) -> None:
    assert register() == "1"
    assert register(forgets=("lovely", "funny")) == "2"
    assert register(forgets=("it",)) == "3"
    client = open_client()
    version = client.get_model_version("tiny", "2")
    run = client.get_run(version.run_id)
    assert version.tags["decant.run.register"] == version.run_id
    assert run.inputs.dataset_inputs[0].dataset.name == "test"
    assert run.data.metrics["student.accuracy"] == 0.875
    evidence = client.list_artifacts(version.run_id, "evidence")
    assert [file.path for file in evidence] == [
        "evidence/metrics.json",
        "evidence/predictions.parquet",
    ]


def _aliases_move(cli: Cli) -> None:
    first = cli("promote", "--model", "tiny", "--version", "1", "--reason", "the first")
    assert first.exit_code == 0, first.output
    worse = cli("promote", "--model", "tiny", "--version", "2")
    assert worse.exit_code == 1
    assert "not promoted: accuracy, minus the champion's is -12.50%" in worse.output
    equal = cli("promote", "--model", "tiny", "--version", "3")
    assert equal.exit_code == 0, equal.output
    assert cli("promote", "--model", "tiny", "--version", "3").output.endswith("already\n")
    back = cli("rollback", "--model", "tiny", "--reason", "slow")
    assert back.exit_code == 0, back.output
    by_alias = open_client().get_model_version_by_alias("tiny", "champion")
    assert str(by_alias.version) == "1"


def _versions_are_shown(cli: Cli, tmp_path: Path) -> None:
    head, *rows = cli("models", "--model", "tiny").output.splitlines()
    versions = [dict(zip(head.split("\t"), row.split("\t"), strict=False)) for row in rows]
    shown = [(one["version"], one["aliases"], one["test"]) for one in versions[:3]]
    assert shown == [("3", "", "100.0%"), ("2", "", "87.5%"), ("1", "champion", "100.0%")]
    assert [" ".join(row.split()[2:8]) for row in rows[3:]] == [
        "made version 1 of tiny champion:",
        "made version 3 of tiny champion",
        "rolled back: version 1 of tiny",
    ]
    found = cli("compare", "tiny/1", "tiny/2", "--json")
    content = json.loads(found.output)
    assert content["difference"] == pytest.approx(10 / 80)
    assert (content["only_new"], content["only_old"], len(content["differing"])) == (10, 0, 10)
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", "predict", "--model", "models:/tiny@champion", "good"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("positive\t"), done.stderr


@pytest.mark.parametrize("store", ["server"], indirect=True)
@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("wr0ng", "the token in MLFLOW_TRACKING_TOKEN"),
        (None, "none are set in MLFLOW_TRACKING_TOKEN"),
    ],
)
def test_a_token_that_is_refused_is_reported_and_not_shown(
    store: str,
    register: Register,
    cli: Cli,
    token: str | None,
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if token:
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    else:
        monkeypatch.delenv("MLFLOW_TRACKING_TOKEN")
    told = []
    for attempt in (lambda: run_step("distill"), register):
        with raises("tracking-access-denied") as caught:
            attempt()
        told.append(str(caught.value))
    for command in (
        ("promote", "--model", "tiny"),
        ("rollback", "--model", "tiny", "--reason", "slow"),
        ("models",),
        ("compare", "tiny/1", "tiny/2"),
    ):
        ended = cli(*command)
        assert ended.exit_code == 2
        told.append(ended.output)
    for words in told:
        assert f"MLflow at {store} refuses the credentials (HTTP 401): {problem}" in words
        assert "set MLFLOW_TRACKING_TOKEN to a token that is valid" in words
    printed = capsys.readouterr()
    for words in (*told, printed.out, printed.err):
        assert not token or token not in words
        assert TOKEN not in words
    assert Spool(spool_uri()).runs() == [], "nothing was done that could be lost"


def test_a_server_that_goes_away_loses_nothing(
    server: Server, address: str, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = quiet_reporter("distill")
    with server.running():
        ingest = run_step("ingest", key="i")
        step = tracked_step(
            "distill", "d", Params(), [Origin("ingest", "i", ingest.step_runs)], reporter
        )
        run = step.__enter__()
        reporter.point("loss", 1, 0.75)
    reporter.point("loss", 2, 0.5)
    reporter.metric("accuracy", 0.8)
    run.finish(reporter, 1.5, {})
    step.__exit__(None, None, None)
    assert logged(reporter).count("warning") == 1
    evaluate = run_step("evaluate", Origin("distill", "d", run.step_runs), key="e")
    assert len(Spool(spool_uri()).runs()) == 2

    down = cli("sync")
    assert down.exit_code == 2
    assert "nothing is lost" in down.output

    with server.running():
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wr0ng")
        refused = cli("sync")
        assert refused.exit_code == 2
        assert "the token in MLFLOW_TRACKING_TOKEN" in refused.output
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
        sent = cli("sync")
        assert sent.exit_code == 0, sent.output
        assert sent.output.count("sent: run") == 2
        assert cli("sync").output.startswith("nothing is spooled")
        client = open_client()
        child = client.get_run(run.run_id)
        parent = child.data.tags["mlflow.parentRunId"]
        children = client.search_runs(
            [child.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
        )
        assert {one.info.run_name: one.info.status for one in children} == dict.fromkeys(
            ("ingest", "distill", "evaluate"), "FINISHED"
        )
        points = client.get_metric_history(run.run_id, "loss")
        assert [(point.step, point.value) for point in points] == [(1, 0.75), (2, 0.5)]
        (last,) = (one for one in children if one.info.run_name == "evaluate")
        assert last.data.tags["decant.record"] == evaluate.step_runs["evaluate"]
        assert last.data.tags["decant.behind.ingest"] == ingest.run_id
        files = client.list_artifacts(last.info.run_id, "student")
        assert [file.path for file in files] == ["student/card.json"]
        assert client.get_run(parent).info.end_time == last.info.end_time


@pytest.mark.parametrize("store", ["server, down"], indirect=True)
def test_register_and_promote_fail_clearly_and_go_on_later(
    store: str, server: Server, register: Register, cli: Cli
) -> None:
    with raises("tracking-unreachable", "MLFLOW_TRACKING_URI") as down:
        register()
    assert "run register again" in str(down.value)
    for words in (("promote", "--model", "later"), ("models",)):
        ended = cli(*words)
        assert ended.exit_code == 2
        assert f"MLflow at {store}: " in ended.output
        assert "nothing is lost, run this again" in ended.output
    with server.running():
        first = register()
        assert cli("sync").output.startswith("nothing is spooled"), "register sent it first"
        assert cli("promote", "--model", "tiny", "--version", first).exit_code == 0
        second = register(forgets=("it",))
    broke_off = cli("promote", "--model", "tiny", "--version", second)
    assert broke_off.exit_code == 2
    with server.running():
        assert cli("promote", "--model", "tiny", "--version", second).exit_code == 0
        by_alias = open_client().get_model_version_by_alias("tiny", "champion")
        assert str(by_alias.version) == second
        failed = open_client().search_runs(
            [open_client().get_experiment_by_name("decant").experiment_id],
            "attributes.status = 'FAILED' and attributes.run_name = 'register'",
        )
        assert len(failed) == 1, "the attempt that failed is told as it was"
