"""decant schedule, list and stop."""

import re

import pytest

from tests.pipelines.conftest import Cli
from tests.pipelines.kfp_api import Frame
from tests.pipelines.kfp_server import KfpServer

MLFLOW = ("--mlflow-uri", "http://mlflow.example:5000")
NIGHTLY = ("schedule", "--name", "nightly", *MLFLOW)


def test_a_cron_schedule(server: KfpServer, cli: Cli) -> None:
    ended = cli(
        *NIGHTLY,
        *("--cron", "30 3 * * mon-fri", "--start", "2027-01-31T03:00+01:00"),
        *("--end", "2027-12-31T00:00:00Z", "--no-catch-up", "--max-concurrency", "2"),
        *("--set", "finetune.epochs=3"),
    )
    assert (ended.code, ended.err) == (0, "")
    (made,) = server.api.schedules
    assert made["trigger"] == {
        "cron_schedule": {
            "cron": "0 30 3 * * mon-fri",
            "start_time": "2027-01-31T02:00:00+00:00",
            "end_time": "2027-12-31T00:00:00+00:00",
        }
    }
    assert made["mode"] == "ENABLE"
    assert made["no_catchup"] is True
    assert made["max_concurrency"] == "2"
    assert made["experiment_id"] == server.api.experiments[0]["experiment_id"]
    version = made["pipeline_version_reference"]["pipeline_version_id"]
    assert version == server.api.versions[0]["pipeline_version_id"]
    assert '"epochs":3' in made["runtime_config"]["parameters"]["finetune_params"]
    assert "cron with seconds, as the server reads it: 0 30 3 * * mon-fri" in ended.out
    assert f"{server.url}/#/recurringrun/details/{made['recurring_run_id']}" in ended.out


def test_an_interval(server: KfpServer, cli: Cli) -> None:
    assert cli(*NIGHTLY, "--every", "6h").code == 0
    (made,) = server.api.schedules
    assert made["trigger"] == {"periodic_schedule": {"interval_second": "21600"}}
    assert made["no_catchup"] is False


def test_a_schedule_of_that_name_is_there(server: KfpServer, cli: Cli) -> None:
    cli(*NIGHTLY, "--every", "6h")
    (old,) = server.api.schedules
    ended = cli(*NIGHTLY, "--every", "3h")
    assert ended.code == 2
    assert (
        f"error[schedule-exists]: a schedule 'nightly' exists: {old['recurring_run_id']}"
        in ended.message
    )
    assert "--replace" in ended.message
    assert server.api.schedules == [old]

    server.api.runs.append({"run_id": "r", "recurring_run_id": old["recurring_run_id"]})
    cli("schedule", "--name", "other", "--every", "1h", *MLFLOW)
    assert cli(*NIGHTLY, "--every", "3h", "--replace").code == 0
    assert [one["display_name"] for one in server.api.schedules] == ["other", "nightly"]
    assert server.api.schedules[1]["trigger"]["periodic_schedule"]["interval_second"] == "10800"
    assert [run["run_id"] for run in server.api.runs] == ["r"]  # it goes on


def test_a_failed_replacement_leaves_the_old_one(server: KfpServer, cli: Cli) -> None:
    cli(*NIGHTLY, "--every", "6h")
    server.fail("POST .*recurringruns", None, times=9)
    assert cli(*NIGHTLY, "--every", "3h", "--replace").code == 2
    assert len(server.api.schedules) == 1


def test_mistakes_in_a_schedule(server: KfpServer, cli: Cli) -> None:
    cases = {
        (): "a schedule needs either --cron or --every",
        ("--cron", "0 3 * * *", "--every", "6h"): "a schedule needs either",
        ("--cron", "0 3 *"): "--cron '0 3 *' has 3 fields",
        ("--every", "soon"): "error[option-value]: --every 'soon'",
        ("--every", "6h", "--start", "tomorrow"): "--start 'tomorrow' is not a valid time",
        ("--every", "6h", "--start", "2027-02-01", "--end", "2027-01-01"): "is not after --start",
        ("--every", "6h", "--max-concurrency", "11"): "1<=x<=10",
    }
    for arguments, problem in cases.items():
        ended = cli(*NIGHTLY, *arguments)
        assert ended.code == 2
        assert problem in ended.message
    assert not server.requests


def test_lists(server: KfpServer, cli: Cli) -> None:
    ended = cli("list")
    assert ended.code == 2
    assert "there is no experiment 'decant'" in ended.message

    server.api.frames = (Frame(state="FAILED"),)
    for number in range(3):
        cli("submit", "--run-name", f"run\t{number}", *MLFLOW)
    cli("submit", "--experiment", "another", *MLFLOW)
    for run in server.api.runs[:2]:
        server.api.run(run["run_id"])
    cli(*NIGHTLY, "--cron", "0 3 * * *", "--end", "2020-01-01")
    cli("schedule", "--name", "often", "--every", "1d", *MLFLOW)

    rows = [line.split("\t") for line in cli("list").out.splitlines()]
    assert [row[1] for row in rows] == ["PENDING", "FAILED", "FAILED", "ENABLED", "ENDED"]
    ids = [run["run_id"] for run in server.api.runs[2::-1]]
    assert [row[0] for row in rows[:3]] == ids
    assert [row[4] for row in rows[:3]] == ["run 2", "run 1", "run 0"]
    assert rows[1][3] == "0:01:30"
    assert rows[0][5] == f"{server.url}/#/runs/details/{ids[0]}"
    assert [row[2:4] for row in rows[3:]] == [
        ["every 1 day, 0:00:00", "often"],
        ["0 0 3 * * *", "nightly"],
    ]
    assert len(cli("list", "--runs").out.splitlines()) == 3
    assert len(cli("list", "--schedules").out.splitlines()) == 2
    assert len(cli("list", "--runs", "--all").out.splitlines()) == 4
    assert len(cli("list", "--runs", "--limit", "2").out.splitlines()) == 2


def test_a_long_list_comes_in_pages(server: KfpServer, cli: Cli) -> None:
    cli("submit", *MLFLOW)
    (run,) = server.api.runs
    server.api.runs = [{**run, "run_id": f"run-{number}"} for number in range(250)]
    server.requests.clear()
    lines = cli("list", "--runs", "--limit", "230").out.splitlines()
    assert [line.partition("\t")[0] for line in lines] == [f"run-{249 - at}" for at in range(230)]
    assert server.count("GET .*/runs$") == 3


def test_a_table_on_a_terminal(
    server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("submit", "--run-name", "a [bold] name", *MLFLOW)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    (run,) = server.api.runs
    coloured = cli("list").out
    table = re.sub(r"\x1b(\[[0-9;]*m|\]8;[^\x1b]*\x1b\\)", "", coloured)
    header, row, pages, schedules = table.splitlines()
    assert header.split() == ["run", "state", "created", "took", "name"]
    assert row.split()[:2] == [run["run_id"], "PENDING"]
    assert row.rstrip().endswith("a [bold] name")
    assert pages == f"pages: {server.url}/#/runs/details/ID"
    assert schedules == "no schedules"
    assert f";{server.url}/#/runs/details/{run['run_id']}\x1b" in coloured  # a hyperlink


def test_stopping_a_run(server: KfpServer, cli: Cli) -> None:
    server.api.frames = (Frame(state="RUNNING"),)
    cli("submit", *MLFLOW)
    run_id = server.api.runs[0]["run_id"]
    ended = cli("stop", run_id)
    assert ended.code == 0
    assert ended.out.splitlines()[0] == f"run {run_id} is being canceled"
    assert f"run {run_id} is CANCELING already" in cli("stop", run_id).out
    assert cli("follow", run_id).code == 3
    ended = cli("stop", run_id)
    assert (ended.code, ended.out) == (0, f"run {run_id} is CANCELED already\n")
    assert server.count("terminate") == 1


def test_stopping_a_schedule(server: KfpServer, cli: Cli) -> None:
    cli(*NIGHTLY, "--every", "6h")
    assert cli("stop", "--schedule", "nightly").code == 0
    assert server.api.schedules[0]["status"] == "DISABLED"
    assert "DISABLED" in cli("list", "--schedules").out


def test_mistakes_in_stopping(cli: Cli) -> None:
    cases = {
        (): "nothing to stop",
        ("r", "--schedule", "s"): "nothing to stop",
        ("no-run",): "there is no run no-run",
        ("--schedule", "no-schedule"): "there is no schedule 'no-schedule'",
    }
    for arguments, problem in cases.items():
        ended = cli("stop", *arguments)
        assert ended.code == 2
        assert problem in ended.message
