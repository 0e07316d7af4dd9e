"""decant follow: how a run ends, and what may happen to the server meanwhile."""

import json
import re
import time
import types
from pathlib import Path
from typing import Any

import pytest

from decant.tracking.mlflow_store import open_client
from decant.tracking.parent_run import EXECUTION_TAG
from pipelines.kubeflow import run_progress as follow
from pipelines.kubeflow.run_progress import EXIT_CODES, Outcome
from tests.pipelines.conftest import Cli
from tests.pipelines.kfp_api import Frame, pod_of
from tests.pipelines.kfp_server import Answer, KfpServer, as_json, as_page
from tests.spooling import Store

RUNNING = Frame(state="RUNNING", tasks={"ingest": "RUNNING"})
DONE = Frame(state="SUCCEEDED", tasks={"ingest": "SUCCEEDED"})
FAILED = Frame(
    state="FAILED",
    tasks={"ingest": "SUCCEEDED", "distill": "FAILED"},
    errors={"distill": "container exited\nwith code 3"},
)


def started(server: KfpServer, *frames: Frame) -> str:
    """A run that goes through the frames; its id."""
    server.api.experiments.append({"experiment_id": "e", "display_name": "decant"})
    server.api.frames = frames
    run = server.api.create_run(
        {"display_name": "a run", "experiment_id": "e", "pipeline_spec": {"root": {}}}
    )
    return str(run["run_id"])


@pytest.mark.parametrize(
    ("frame", "code", "verdict"),
    [
        (DONE, 0, "the run succeeded"),
        (FAILED, 1, "the run failed"),
        (Frame(state="CANCELED"), 3, "the run was canceled"),
        (Frame(state="FAILED", history=("RUNNING", "CANCELING")), 3, "the run was canceled"),
        (Frame(state="SKIPPED"), 4, "the run was skipped"),
    ],
)
def test_how_it_ended(server: KfpServer, cli: Cli, frame: Frame, code: int, verdict: str) -> None:
    ended = cli("follow", started(server, RUNNING, Frame(state="CANCELING"), frame))
    assert ended.code == code
    assert ended.out.splitlines()[-1] == f"{verdict} after 0:01:30"


def test_every_outcome_is_in_the_help() -> None:
    listed = {int(code) for code in re.findall(r"^ *(\d+)  ", EXIT_CODES, re.MULTILINE)}
    assert listed == {*Outcome, 2}
    assert f"{follow.OUTAGE_SECONDS / 60:g} minutes" in EXIT_CODES


def test_a_failed_task_and_its_log(server: KfpServer, cli: Cli) -> None:
    log = [f"line {number}" for number in range(30)] + ["token s3cret-token \x1b[31mred [bold] :x:"]
    server.api.logs[pod_of("distill")] = "\n".join(log)
    server.tokens = {"s3cret-token"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECANT_KFP_TOKEN", "s3cret-token")
        ended = cli("follow", started(server, FAILED))
    assert ended.code == 1
    lines = ended.out.splitlines()
    at = lines.index("distill: container exited with code 3")
    assert lines[at + 1].startswith("  the last 20 lines of its log (all of it: decant follow ")
    assert lines[at + 2] == "  | line 11"
    assert lines[at + 21] == "  | token *** red [bold] :x:"
    assert lines[at + 22] == "the run failed after 0:01:30"


def test_a_log_that_the_server_does_not_have(server: KfpServer, cli: Cli) -> None:
    """It answers HTTP 200 and an error; the message says how to get the log."""
    run_id = started(server, FAILED)
    ended = cli("follow", run_id)
    assert ended.code == 1
    assert "lines of its log" not in ended.out
    assert f"{server.url}/#/runs/details/{run_id}" in ended.out
    assert "kubectl logs -n kubeflow POD -c main (kubectl get pods -n kubeflow" in ended.out
    assert server.count("v1alpha1/runs/.*/log") == 2  # with retries a pod has another name


def test_the_web_server_has_the_log(server: KfpServer, cli: Cli) -> None:
    """The address may be the UI's, which passes on version 2 of the API alone."""
    pod = pod_of("distill")
    server.fail("/apis/v1alpha1", as_json({"message": "Not Found"}, 404), times=9)
    server.fail("/k8s/pod/logs", as_json("out of memory"))
    run_id = started(server, FAILED)
    assert "  | out of memory" in cli("follow", run_id).out
    (requested,) = (one for one in server.requests if one.path == "/k8s/pod/logs")
    assert requested.query == {"podname": pod, "runid": run_id}


def test_a_failure_without_a_task(server: KfpServer, cli: Cli) -> None:
    run_id = started(server, Frame(state="FAILED"))
    ended = cli("follow", run_id)
    assert ended.code == 1
    assert f"no task is named; see {server.url}/#/runs/details/{run_id}" in ended.out


def test_never_ending(server: KfpServer, cli: Cli) -> None:
    run_id = started(server, RUNNING)
    ended = cli("follow", run_id, "--timeout-seconds", "1")
    assert ended.code == Outcome.TIMED_OUT == 5
    assert ended.out.splitlines()[-3:] == [
        "not finished within 1 s",
        f"the run continues: decant follow {run_id}",
        f"to end it: decant stop {run_id}",
    ]
    assert 1 <= server.api.requested[run_id] <= 101  # every 10 ms, not as fast as can be
    assert not server.count("terminate")


def test_bursts_of_trouble(server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two retries in the client, more in the loop; each kind is sat out."""
    monkeypatch.setattr(follow, "OUTAGE_SECONDS", 600.0)
    run_id = started(server, *[RUNNING] * 20, DONE)
    path = f"runs/{run_id}"
    server.fail(path, as_page("<html>503 no healthy upstream", 503), times=5)
    server.fail(path, None, times=5)
    server.fail(path, as_json({"message": "Internal error: the database is away"}, 500), times=3)
    server.fail(path, as_page("<html>Bad Gateway", 502), times=4)
    server.fail(path, as_json({}, 504), times=4)
    server.fail(path, as_json({}, 429), times=4)
    ended = cli("follow", run_id)
    assert ended.code == 0
    assert not any(fault.times for fault in server.faults)
    assert ended.out.count("; trying again") == ended.out.count("server: answers again") == 1
    assert ended.out.count("ingest: RUNNING") == 1


def test_half_an_answer(server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off on the way, or by the server itself: neither is taken for a run without tasks."""
    monkeypatch.setattr(follow, "OUTAGE_SECONDS", 600.0)
    run_id = started(server, RUNNING, DONE)
    whole = json.dumps({"run_id": run_id, "state": "SUCCEEDED", "display_name": "é"}).encode()
    kind = {"Content-Type": "application/json"}
    server.fail(f"runs/{run_id}", Answer(200, whole[:40], kind))
    server.fail(f"runs/{run_id}", Answer(200, whole, kind, cut_after=40), times=3)
    server.fail(f"runs/{run_id}", Answer(200, b"", kind))
    ended = cli("follow", run_id)
    assert ended.code == 0
    assert "ended the answer early; trying again" in ended.out
    assert "UNSPECIFIED" not in ended.out


@pytest.mark.parametrize(
    "answer",
    [
        {"run_details": {"task_details": 7}},
        {"run_details": {"task_details": [{"start_time": "yesterday"}]}},
        {"state_history": 7},
    ],
)
def test_an_answer_in_another_form(server: KfpServer, cli: Cli, answer: Any) -> None:
    run_id = started(server, RUNNING)
    server.fail(f"runs/{run_id}", as_json(answer))
    ended = cli("follow", run_id, "--timeout-seconds", "1")
    assert ended.code == 2
    assert "error[cluster-foreign]: " in ended.message
    assert "hint: decant doctor" in ended.message


@pytest.mark.parametrize("answer", [{}, ["a", "list"], {"state": None, "run_details": {}}])
def test_an_answer_with_nothing_in_it(server: KfpServer, cli: Cli, answer: Any) -> None:
    """No end is taken from it: the next one is waited for."""
    run_id = started(server, DONE)
    server.fail(f"runs/{run_id}", as_json(answer))
    ended = cli("follow", run_id)
    assert ended.code == 0
    assert [line[9:] for line in ended.out.splitlines()][:1] == ["run: RUNTIME_STATE_UNSPECIFIED"]


def test_an_answer_that_is_not_text(server: KfpServer, cli: Cli) -> None:
    run_id = started(server, RUNNING)
    kind = {"Content-Type": "application/json"}
    server.fail(f"runs/{run_id}", Answer(200, b'{"state": "\xff"}', kind))
    ended = cli("follow", run_id)
    assert ended.code == 2
    assert "error[cluster-foreign]: 127.0.0.1" in ended.message


def test_a_huge_log(server: KfpServer, cli: Cli) -> None:
    """Only its end is read, or with --log one line after the other; a line may be endless."""
    run_id = started(server, FAILED)
    long = "x" * 100_000
    text = "\n".join([f"row {number}" for number in range(20_000)] + ["é" * 20_000, "last"])
    server.api.logs[pod_of("distill")] = f"{long}\n{text}"
    short = cli("follow", run_id).out.splitlines()
    at = short.index("  | last")
    assert short[at - 1].startswith("  | éé") and len(short[at - 1]) < 1100
    assert short[at - 2] == "  | row 19999"
    whole = [line[4:] for line in cli("follow", run_id, "--log").out.splitlines() if "  | " in line]
    assert "".join(whole[:2]) == long
    assert whole[2:5] == ["row 0", "row 1", "row 2"]
    assert len(whole) == 2 + 20_000 + 2
    assert whole[-1] == "last"


def test_a_log_that_is_cut_off(server: KfpServer, cli: Cli) -> None:
    run_id = started(server, FAILED)
    text = b"first\nsecond\nthird\n"
    kind = {"Content-Type": "text/plain"}
    server.fail("/log", Answer(200, text, kind, cut_after=15), times=2)
    lines = cli("follow", run_id, "--log").out.splitlines()
    at = lines.index("  its log:")
    host = server.url.removeprefix("http://")
    assert lines[at + 1 : at + 5] == [
        "  | first",
        "  | second",
        "  | th",
        f"  the log ends here: {host} ended the answer early",
    ]


def test_slow_answers(server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.kubeflow.connection.TIMEOUTS_SECONDS", (20, 1))
    monkeypatch.setattr(follow, "OUTAGE_SECONDS", 600.0)
    run_id = started(server, RUNNING, DONE)
    server.fail(f"runs/{run_id}", delay_seconds=1.5, times=3, is_only_slow=True)
    ended = cli("follow", run_id)
    assert ended.code == 0
    assert "nothing within 1 s; trying again" in ended.out


def test_a_lost_server(server: KfpServer, cli: Cli) -> None:
    run_id = started(server, RUNNING)

    def fall_silent(times: int) -> None:
        if times == 2:
            server.fail(f"runs/{run_id}", None, times=100_000)

    server.api.on_request = fall_silent
    ended = cli("follow", run_id)
    assert ended.code == Outcome.SERVER_LOST == 6
    assert "the server has not answered for" in ended.out
    assert f"the run continues: decant follow {run_id}" in ended.out
    assert ended.out.count("the connection was lost; trying again") == 1


def test_credentials_end_while_waiting(server: KfpServer, cli: Cli, tmp_path: Path) -> None:
    """A token file is read anew; without a new token the waiting ends, not the run."""
    token = tmp_path / "token"
    token.write_text("first-token\n")
    server.tokens = {"first-token"}
    run_id = started(server, *[RUNNING] * 6, DONE)

    def rotate(times: int) -> None:
        if times == 2:
            server.tokens = {"second-token"}
            token.write_text("second-token")

    server.api.on_request = rotate
    assert cli("follow", run_id, "--token-file", str(token)).code == 0
    assert len({one.headers["authorization"] for one in server.requests}) == 2

    server.tokens = {"third-token"}
    ended = cli("follow", run_id, "--token-file", str(token))
    assert ended.code == 2
    assert f"refuses the token in {token} (HTTP 401)" in ended.message


def test_no_more_credentials_while_waiting(
    server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_KFP_TOKEN", "s3cret-token")
    run_id = started(server, RUNNING)
    server.tokens = {"s3cret-token"}

    def expire(times: int) -> None:
        if times == 2:
            server.tokens = set()

    server.api.on_request = expire
    ended = cli("follow", run_id)
    assert ended.code == 2
    assert "refuses the token in DECANT_KFP_TOKEN (HTTP 401); the run continues" in ended.message
    assert f"then: decant follow {run_id}" in ended.message


def test_an_unknown_run(server: KfpServer, cli: Cli) -> None:
    ended = cli("follow", "no-such-run")
    assert ended.code == 2
    assert "error[run-unknown]: the run no-such-run" in ended.message


def test_interrupted(server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = started(server, RUNNING)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    clock = types.SimpleNamespace(sleep=interrupt, monotonic=time.monotonic)
    monkeypatch.setattr(follow, "time", clock)
    ended = cli("follow", run_id)
    assert ended.code == Outcome.INTERRUPTED == 130
    assert ended.out.splitlines()[-3:] == [
        "interrupted",
        f"the run continues: decant follow {run_id}",
        f"to end it: decant stop {run_id}",
    ]
    assert not server.count("terminate")


def test_runs_in_mlflow_that_killed_pods_left_open_are_closed(
    server: KfpServer, cli: Cli, mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = started(server, RUNNING, FAILED)
    client = open_client()
    experiment = client.create_experiment("of the profile")
    parent = client.create_run(experiment, tags={EXECUTION_TAG: run_id}).info.run_id
    tags = {"mlflow.parentRunId": parent, "decant.step": "distill"}
    lost = client.create_run(experiment, run_name="distill", tags=tags).info.run_id
    ended = cli("follow", run_id)
    assert ended.code == 1
    assert "closed runs in MLflow that were left open: distill" in ended.out
    found = {one: client.get_run(one).info.status for one in (parent, lost)}
    assert found == {parent: "KILLED", lost: "KILLED"}


def test_an_mlflow_that_is_not_reached_from_here_changes_no_outcome(
    server: KfpServer, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    ended = cli("follow", started(server, RUNNING, FAILED))
    assert ended.code == 1
    assert "runs in MLflow that were left open were not closed: no answer from 127.0.0.1:9" in (
        ended.out
    )
    assert ended.out.splitlines()[-1] == "the run failed after 0:01:30"
