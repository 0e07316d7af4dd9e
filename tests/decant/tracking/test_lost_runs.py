"""What a killed process left RUNNING in MLflow is closed by who sees that it is gone."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from decant.runtime.identity import PROJECT
from decant.runtime.process import PROCESS_TAG, Process, host, read_tag, this_process
from decant.tracking.lost_runs import all_experiments, close_execution, close_lost
from decant.tracking.mlflow_store import open_client
from decant.tracking.tracked_step import tracked_step
from tests.spooling import Params, Store, quiet_reporter

# A step that says that it is at work, and then never ends by itself.
AT_WORK = """
import dataclasses, sys, time
from decant.runtime.reporter import Reporter
from decant.tracking.tracked_step import tracked_step
params = dataclasses.make_dataclass("Params", [("epochs", int)])(epochs=2)
with tracked_step(sys.argv[1], "key", params, [], Reporter(step=sys.argv[1])) as run:
    print("run:", run.run_id, flush=True)
    time.sleep(600)
"""


def killed(step: str, execution: str, **environment: str) -> str:
    """The run of a step whose process was killed at work."""
    process = subprocess.Popen(
        [sys.executable, "-c", AT_WORK, step],
        cwd=PROJECT,
        env={**os.environ, "KFP_RUN_ID": execution, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    with process.stdout:
        said = next((line for line in process.stdout if line.startswith("run: ")), "")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert said
    return said.removeprefix("run: ").strip()


def status(run_id: str) -> str:
    return str(open_client().get_run(run_id).info.status)


def parent_of(run_id: str) -> Any:
    client = open_client()
    return client.get_run(client.get_run(run_id).data.tags["mlflow.parentRunId"])


def test_the_next_process_of_this_machine_closes_a_killed_run(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = killed("finetune", "first")
    assert (status(lost), parent_of(lost).info.status) == ("RUNNING", "RUNNING")
    monkeypatch.setenv("KFP_RUN_ID", "second")
    reporter = quiet_reporter()
    with tracked_step("ingest", "key", Params(), [], reporter) as run:
        assert (status(lost), parent_of(lost).info.status) == ("KILLED", "KILLED")
        assert status(run.run_id) == "RUNNING"
    assert "closed the run of finetune in MLflow whose process was killed" in (
        reporter.console.file.getvalue()  # type: ignore[attr-defined]
    )
    assert (status(run.run_id), parent_of(run.run_id).info.status) == ("FINISHED", "FINISHED")


def test_a_living_process_keeps_its_run(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracked_step("finetune", "key", Params(), [], quiet_reporter()) as run:
        client = open_client()
        assert close_lost(client, all_experiments(client)) == []
        assert status(run.run_id) == "RUNNING"


def test_the_next_attempt_closes_the_one_of_a_lost_pod(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KFP_RUN_ID", "execution")
    lost, other = killed("distill", "execution"), killed("ingest", "execution")
    client = open_client()
    for run_id in (lost, other):  # as if of another pod, of which this one knows nothing
        tag = Process("another pod", 7, 1.0).as_tag()
        client.set_tag(run_id, PROCESS_TAG, tag)
    with tracked_step("distill", "key", Params(), [], quiet_reporter()) as run:
        assert (status(lost), status(other)) == ("KILLED", "RUNNING")
        assert parent_of(lost).info.run_id == parent_of(run.run_id).info.run_id
        assert parent_of(lost).info.status == "RUNNING"
    assert [one.info.run_id for one in close_execution(client, "execution")] == [other]
    assert (status(other), status(run.run_id)) == ("KILLED", "FINISHED")
    assert parent_of(lost).info.status == "KILLED"
    assert close_execution(client, "execution") == []


def test_a_given_parent_is_left_to_its_owner(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client()
    given = client.create_run(client.create_experiment("mine")).info.run_id
    lost = killed("finetune", "first", MLFLOW_RUN_ID=given)
    assert [one.info.run_id for one in close_lost(client, all_experiments(client))] == [lost]
    assert (status(lost), status(given)) == ("KILLED", "RUNNING")


def test_a_process_is_found_again_by_its_tag() -> None:
    here = this_process()
    read = read_tag(here.as_tag())
    assert read and (read.host, read.pid, read.is_here, read.is_alive) == (
        host(),
        os.getpid(),
        True,
        True,
    )
    assert not Process(here.host, here.pid, here.started - 100).is_alive
    assert read_tag("") is None
    assert read_tag("of another version") is None
