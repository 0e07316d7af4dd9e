"""`sync` sends what was spooled as it was, once, however often and however broken off it is run."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock
from mlflow.tracking import MlflowClient

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT
from decant.runtime.process import Process
from decant.tracking.mlflow_store import experiment_id, open_client
from decant.tracking.spool import Spool, spool_uri
from decant.tracking.tracked_step import Origin, tracked_step
from pipelines.__main__ import main
from tests.spooling import Killed, Params, Store, dying_at, only_record, quiet_reporter, run_step


def sync(*arguments: str) -> tuple[int, str]:
    """Exit code and output, the words of a UserError included."""
    result = CliRunner().invoke(main, ["sync", *arguments])
    if isinstance(result.exception, UserError):
        return 2, f"{result.output}{result.exception}"
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def content(store: Store) -> dict[str, Any]:
    """All that MLflow knows of every run, without the ids that it gave them."""
    client = open_client()
    runs = store.runs()
    names = {run.info.run_id: f"the {run.info.run_name}" for run in runs}
    names |= {run.data.tags.get("decant.record", ""): "record" for run in runs}
    return {
        run.info.run_name: {
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "tags": {key: names.get(value, value) for key, value in run.data.tags.items()},
            "points": {
                key: [
                    (point.step, point.value, point.timestamp)
                    for point in client.get_metric_history(run.info.run_id, key)
                ]
                for key in run.data.metrics
            },
            "files": [
                file.path
                for folder in client.list_artifacts(run.info.run_id)
                for file in client.list_artifacts(run.info.run_id, folder.path)
            ],
        }
        for run in runs
    }


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {
            **run,
            "times": None,
            "points": {
                key: [point[:2] for point in points] for key, points in run["points"].items()
            },
        }
        for name, run in found.items()
    }


def an_execution() -> None:
    """Three steps, of which the last one fails."""
    ingest = run_step("ingest", key="i")
    distill = run_step("distill", Origin("ingest", "i", ingest.step_runs), key="d")
    origin = Origin("distill", "d", distill.step_runs)
    with (
        pytest.raises(ZeroDivisionError),
        tracked_step("evaluate", "e", Params(), [origin], quiet_reporter()),
    ):
        raise ZeroDivisionError("no rows")


def test_what_was_spooled_arrives_as_if_it_had_been_logged(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KFP_RUN_ID", "the-execution")
    an_execution()
    live = content(mlflow_store)
    for run in mlflow_store.runs():
        open_client().delete_run(run.info.run_id)
    with mlflow_store.away():
        an_execution()
    records = [run.record for run in Spool(spool_uri()).runs()]
    time.sleep(0.01)  # what is sent later must not look as if it had happened later

    code, output = sync()

    assert code == 0
    lines = [line.split("\t") for line in output.splitlines()]
    assert [(line[1], line[3]) for line in lines[1:]] == [
        ("ingest", "FINISHED"),
        ("distill", "FINISHED"),
        ("evaluate", "FAILED"),
    ]
    assert all(line[-1].startswith("sent: run ") for line in lines[1:])
    sent = content(mlflow_store)
    assert without_times(sent) == without_times(live)
    for record in records:
        assert record is not None
        run = sent[record.step]
        assert run["times"] == (record.started_ms, record.ended_ms)
        expected = [(point.at, point.value, point.milliseconds) for point in record.points]
        assert run["points"].get("loss _train_", []) == expected
    first, last = records[0], records[-1]
    assert first is not None and last is not None
    parent = sent["pipeline-the-exec"]
    assert parent["status"] == "FAILED"
    assert parent["times"] == (first.started_ms, last.ended_ms)
    assert "distill/accuracy" in parent["points"]
    assert sent["evaluate"]["tags"]["decant.error"] == "ZeroDivisionError: no rows"

    assert sync() == (0, f"nothing is spooled in {spool_uri()}\n")
    assert content(mlflow_store) == sent


def test_a_run_that_was_logged_in_part_is_completed(mlflow_store: Store) -> None:
    reporter = quiet_reporter()
    with tracked_step("distill", "key", Params(), [], reporter) as run:
        reporter.point("loss", 1, 0.75)
        with mlflow_store.away():
            reporter.point("loss", 2, 0.5)
        reporter.point("loss", 3, 0.25)
    (child,) = mlflow_store.children()
    assert (child.info.status, child.data.metrics["loss"]) == ("RUNNING", 0.75)
    assert sync()[0] == 0
    found = open_client().get_run(run.run_id)
    assert found.info.status == "FINISHED"
    assert run.record is not None
    assert found.info.end_time == run.record.ended_ms
    points = open_client().get_metric_history(run.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(1, 0.75), (2, 0.5), (3, 0.25)]
    assert len(mlflow_store.runs()) == 2
    assert mlflow_store.parents()[0].info.status == "FINISHED"


@pytest.mark.slow
def test_sync_goes_on_wherever_it_was_killed(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KFP_RUN_ID", "the-execution")
    with mlflow_store.away():
        an_execution()
    shutil.copytree(spool_uri(), tmp_path / "kept spool")
    empty = tmp_path / "empty.db"
    shutil.copy(tmp_path / "mlflow.db", empty)
    with monkeypatch.context() as patch:
        calls = dying_at(0, patch)
        assert sync()[0] == 0
        writes = calls()
    expected = content(mlflow_store)
    assert writes > 20
    for call in range(1, writes + 1):
        with mlflow_store.away():
            shutil.rmtree(spool_uri())
            shutil.copytree(tmp_path / "kept spool", spool_uri())
            shutil.copy(empty, tmp_path / "kept.db")
        with monkeypatch.context() as patch, pytest.raises(Killed):
            dying_at(call, patch)
            sync()
        assert sync()[0] == 0
        assert content(mlflow_store) == expected, f"killed after call {call}"
        assert Spool(spool_uri()).runs() == []


@pytest.mark.parametrize("removal", ["rm_file", "rm"])  # of run.json, of what is left
def test_sync_goes_on_when_it_was_killed_while_it_tidied_up(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch, removal: str
) -> None:
    with mlflow_store.away():
        run_step("distill")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(type(Spool(spool_uri()).files), removal, _die)
        sync()
    before = content(mlflow_store)
    assert sync()[0] == 0
    assert content(mlflow_store) == before


def _die(*arguments: Any, **more: Any) -> None:
    raise Killed


def test_without_mlflow_nothing_is_sent_and_nothing_lost(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    run_step("distill")
    record = only_record()
    code, output = sync()
    assert code == 2
    assert "MLflow at http://127.0.0.1:9: no answer" in output
    assert "then run this again; nothing is lost" in output
    assert "secret" not in output
    assert only_record() == record


def test_mlflow_goes_away_in_the_middle(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mlflow_store.away():
        run_step("ingest", key="i")
        run_step("distill")
    send_one = MlflowClient.set_terminated

    def then_gone(*arguments: Any, **more: Any) -> None:
        send_one(*arguments, **more)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", then_gone)
        code, output = sync()
    assert code == 2
    assert "kept: gone" in output, "the table says how far it came"
    assert len(Spool(spool_uri()).runs()) == 2
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store.uri)
    assert sync()[0] == 0
    assert [run.info.run_name for run in mlflow_store.children()] == ["ingest", "distill"]


def test_one_that_mlflow_refuses_does_not_hold_up_the_others(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mlflow_store.away():
        monkeypatch.setenv("MLFLOW_RUN_ID", "f" * 32)  # such a parent there is not
        run_step("ingest", key="i")
        monkeypatch.delenv("MLFLOW_RUN_ID")
        run_step("distill")
    code, output = sync()
    assert code == 1
    assert f"Run with id={'f' * 32} not found" in output or "f" * 32 in output
    assert [run.info.run_name for run in mlflow_store.children()] == ["distill"]
    assert only_record().step == "ingest"


def test_a_given_parent_is_left_to_its_owner(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client()
    given = client.create_run(client.create_experiment("theirs")).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    with mlflow_store.away():
        run_step("distill")
    monkeypatch.delenv("MLFLOW_RUN_ID")
    assert sync()[0] == 0
    experiment = client.get_run(given).info.experiment_id
    (child,) = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{given}'")
    assert child.info.status == "FINISHED"
    assert client.get_run(given).info.status == "RUNNING"


def test_what_belongs_elsewhere_stays_until_it_is_requested(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    run_step("distill")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_store.uri)
    run_step("evaluate", key="e")
    code, output = sync()
    assert code == 1
    assert "kept: for http://127.0.0.1:9; --any-store sends it" in output
    assert only_record().step == "distill"
    assert sync("--any-store")[0] == 0
    assert [run.info.run_name for run in mlflow_store.children()] == ["distill", "evaluate"]
    assert len(mlflow_store.parents()) == 1


def test_a_step_that_still_runs_is_left_alone_and_a_dead_one_was_killed(
    mlflow_store: Store,
) -> None:
    reporter = quiet_reporter()
    with (
        mlflow_store.away(),
        tracked_step("distill", "key", Params(), [], reporter) as run,
    ):
        reporter.point("loss", 1, 0.5)
    record = run.record
    assert record is not None
    record.ended_ms, record.status = None, "RUNNING"
    Spool(spool_uri()).write(record)
    code, output = sync()
    assert code == 0
    assert "kept: still running on" in output
    here = record.process
    record.process = Process(here.host, here.pid, here.started - 100)
    Spool(spool_uri()).write(record)
    assert sync()[0] == 0
    (child,) = mlflow_store.children()
    assert (child.info.status, child.info.end_time) == ("KILLED", record.written_ms)
    assert mlflow_store.parents()[0].info.status == "KILLED"


def test_a_damaged_record_is_reported_and_kept(mlflow_store: Store) -> None:
    with mlflow_store.away():
        run_step("distill")
        run_step("evaluate", key="e")
    first = Path(Spool(spool_uri()).runs()[0].folder)
    (first / "run.json").write_text("{")
    code, output = sync()
    assert code == 1
    assert f"{first.name}\t\t\t\t\tkept: damaged, or written by another version" in output
    assert [run.info.run_name for run in mlflow_store.children()] == ["evaluate"]
    assert (first / "run.json").read_text() == "{"


def test_two_do_not_send_at_the_same_time(mlflow_store: Store) -> None:
    with mlflow_store.away():
        run_step("distill")
    with FileLock(Path(spool_uri()) / ".sending"):
        code, output = sync()
        assert code == 2
        assert "another process is sending" in output
        run_step("evaluate", key="e")  # does not wait for it either
    assert [run.info.run_name for run in mlflow_store.children()] == ["evaluate"]
    assert sync()[0] == 0


def test_a_bucket_that_cannot_be_read_is_reported(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("unable to locate credentials")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.find", refused)
    code, output = sync("memory://bucket/spool")
    assert code == 2
    assert "the spool memory://bucket/spool cannot be read: unable to locate" in output
    assert sync("nowhere://bucket")[0] == 2


def test_a_folder_that_cannot_be_written_is_reported(mlflow_store: Store) -> None:
    with mlflow_store.away():
        run_step("distill")
    (Path(spool_uri()) / ".sending").mkdir()  # root may write everywhere, but not into a folder
    code, output = sync()
    assert code == 2
    assert "cannot be written" in output
    assert "copy it, and give the copy" in output


def test_another_folder_can_be_named(mlflow_store: Store, tmp_path: Path) -> None:
    with mlflow_store.away():
        run_step("distill")
    Path(spool_uri()).rename(tmp_path / "artifacts of a cluster")
    assert sync()[1].startswith("nothing is spooled in")
    code, output = sync(str(tmp_path / "artifact of a cluster"))
    assert code == 2, "a slip of the pen must not look as if all had been sent"
    assert "there is no folder" in output
    assert sync(str(tmp_path / "artifacts of a cluster"))[0] == 0
    assert len(mlflow_store.children()) == 1


@pytest.mark.slow
def test_a_sync_that_is_killed_for_real(mlflow_store: Store) -> None:
    """With signal 9, at some moment of its work."""
    with mlflow_store.away():
        for number in range(10):
            run_step("distill", key=str(number))
    command = [sys.executable, "-m", "pipelines", "sync"]
    process = subprocess.Popen(command, cwd=PROJECT, env=os.environ, stdout=subprocess.DEVNULL)
    while len(Spool(spool_uri()).runs()) > 7:
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = len(Spool(spool_uri()).runs())
    assert 0 < left <= 7
    done = subprocess.run(command, cwd=PROJECT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("sent: run") == left
    children = mlflow_store.children()
    assert sorted(run.data.tags["decant.identity"] for run in children) == list("0123456789")
    assert {run.info.status for run in children} == {"FINISHED"}
    assert [run.info.status for run in mlflow_store.parents()] == ["FINISHED"]


def test_runs_whose_parent_is_gone_are_sent_below_their_own(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client()
    parent = client.create_run(experiment_id(client)).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    with mlflow_store.away():
        run_step("distill")
    client.delete_run(parent)
    code, output = sync()
    assert code == 1 and parent in output and "--own-parent" in output
    code, output = sync("--own-parent")
    assert code == 0, output
    (child,) = mlflow_store.children()
    assert child.data.tags["mlflow.parentRunId"] != parent
    assert Spool(spool_uri()).runs() == []
