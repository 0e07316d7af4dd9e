"""What MLflow cannot be told goes to the spool, as a whole, and comes out of it as it went in."""

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from decant.runtime import identity
from decant.runtime.process import Process
from decant.tracking import tracked_step as tracking
from decant.tracking.delivery import send
from decant.tracking.mlflow_store import open_client
from decant.tracking.record import read_record
from decant.tracking.spool import Spool, spool_uri
from decant.tracking.tracked_step import Origin, tracked_step
from tests.spooling import Params, Store, logged, only_record, quiet_reporter, run_step


def test_nothing_is_spooled_while_mlflow_answers(mlflow_store: Store) -> None:
    run_step("distill")
    assert Spool(spool_uri()).runs() == []
    assert not Path(spool_uri()).exists()


def test_the_figure_of_a_curve_is_its_newest_value(mlflow_store: Store) -> None:
    """The kept epoch's score, not the last one's, is what MLflow shows of the run."""
    reporter = quiet_reporter()
    with tracked_step("distill", "key", Params(), [], reporter) as run:
        for epoch, score in ((1, 0.7), (2, 0.9), (3, 0.8)):
            reporter.point("score", epoch, score)
        reporter.metric("score", 0.9)
        run.finish(reporter, 1.0, {})
    metrics = open_client().get_run(run.run_id).data.metrics
    assert metrics == {"score": 0.9, "seconds": 1.0}


def test_a_step_without_mlflow_finishes_and_says_where_its_run_is(mlflow_store: Store) -> None:
    reporter = quiet_reporter()
    with mlflow_store.away():
        run = run_step("distill", reporter=reporter)
    words = logged(reporter)
    assert words.count("warning") == 1
    assert words.count("\n") == 1, "one line"
    assert f"this run is spooled in {spool_uri()}" in words
    assert "decant sync" in words
    record = only_record()
    assert (record.step, record.status) == ("distill", "FINISHED")
    assert record.params == {"distill.epochs": "2", "distill.rate": "0.5"}
    assert [(point.name, point.at, point.value) for point in record.points] == [
        ("loss _train_", 1, 0.75),
        ("loss _train_", 2, 0.5),
    ]
    assert {point.name: point.value for point in record.figures} == {
        "accuracy": 0.8,
        "seconds": 1.5,
    }
    assert record.ended_ms is not None and record.ended_ms >= record.started_ms
    assert run.run_id == ""
    assert run.step_runs == {"distill": record.id}
    files = Path(Spool(spool_uri()).runs()[0].folder) / "files"
    assert [file.relative_to(files).as_posix() for file in files.rglob("*") if file.is_file()] == [
        "student/card.json"
    ]


def test_after_the_first_failure_mlflow_is_not_called_again(mlflow_store: Store) -> None:
    with tracked_step("distill", "key", mlflow_store.params, [], quiet_reporter()) as run:
        calls: list[str] = []

        class Failing:
            def __getattr__(self, name: str) -> Any:
                calls.append(name)
                raise TimeoutError("no answer")

        run.client = Failing()
        for epoch in range(5):
            run.reporter.point("loss", epoch, 0.5)
    assert calls == ["log_batch"]
    assert [point.at for point in only_record().points] == [0, 1, 2, 3, 4]


def test_what_a_step_says_before_it_is_killed_is_on_the_disk(mlflow_store: Store) -> None:
    reporter = quiet_reporter()
    with (
        mlflow_store.away(),
        tracked_step("distill", "key", mlflow_store.params, [], reporter),
    ):
        reporter.point("loss", 1, 0.5)
        record = only_record()
        assert [point.value for point in record.points] == [0.5]
        assert record.status == "RUNNING"
        assert record.is_running


def test_a_record_is_running_as_long_as_its_process(mlflow_store: Store) -> None:
    with mlflow_store.away():
        run_step("distill")
    record = only_record()
    assert not record.is_running, "it has ended"
    record.ended_ms = None
    assert record.is_running
    here = record.process
    record.process = Process(here.host, here.pid, here.started - 100)
    assert not record.is_running, "another process got its number"
    record.process = Process("another host", here.pid, here.started)
    assert record.is_running, "it wrote a moment ago"
    record.written_ms -= 25 * 3600 * 1000
    assert not record.is_running


def test_a_slow_mlflow_is_not_waited_for_for_ever(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 0.0)
    reporter = quiet_reporter()
    with tracked_step("distill", "key", mlflow_store.params, [], reporter):
        reporter.point("loss", 1, 0.5)
    assert logged(reporter).count("warning") == 1
    assert "the step waited" in logged(reporter)
    assert [point.value for point in only_record().points] == [0.5]


def test_not_a_number_and_infinity_keep_their_value(mlflow_store: Store) -> None:
    reporter = quiet_reporter()
    with mlflow_store.away(), tracked_step("distill", "key", mlflow_store.params, [], reporter):
        reporter.point("loss", 1, math.nan)
        reporter.point("loss", 2, -math.inf)
    values = [point.value for point in only_record().points]
    assert math.isnan(values[0])
    assert values[1] == -math.inf


def test_a_spool_that_cannot_be_written_costs_a_warning(
    mlflow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DECANT_SPOOL", str(tmp_path / "file" / "spool"))
    reporter = quiet_reporter()
    with mlflow_store.away():
        run_step("distill", reporter=reporter)
    assert logged(reporter).count("warning") == 1
    assert "tracking is lost" in logged(reporter)


def test_an_unknown_kind_of_spool_costs_a_warning(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECANT_SPOOL", "nowhere://bucket")
    reporter = quiet_reporter()
    with mlflow_store.away():
        run_step("distill", reporter=reporter)
    assert "set DECANT_SPOOL to a folder" in logged(reporter)


def test_the_next_step_sends_first_what_its_links_rest_on(mlflow_store: Store) -> None:
    with mlflow_store.away():
        ingest = run_step("ingest", key="i")
        tokenize = run_step("tokenize", Origin("ingest", "i", ingest.step_runs), key="t")
    reporter = quiet_reporter()
    finetune = run_step(
        "finetune", Origin("tokenize", "t", tokenize.step_runs), key="f", reporter=reporter
    )
    assert "sent the spooled run of ingest to MLflow" in logged(reporter)
    assert "sent the spooled run of tokenize to MLflow" in logged(reporter)
    runs = {run.info.run_name: run for run in mlflow_store.children()}
    assert list(runs) == ["ingest", "tokenize", "finetune"]
    ids = {step: run.info.run_id for step, run in runs.items()}
    assert finetune.step_runs == ids
    assert runs["finetune"].data.tags["decant.behind.ingest"] == ids["ingest"]
    assert runs["tokenize"].data.tags["decant.behind.ingest"] == ids["ingest"]
    assert len({run.data.tags["mlflow.parentRunId"] for run in runs.values()}) == 1
    assert Spool(spool_uri()).runs() == []


def test_a_link_finds_a_run_by_its_record(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though a later execution made the same artifact again."""
    monkeypatch.setenv("KFP_RUN_ID", "first")
    with mlflow_store.away():
        ingest = run_step("ingest", key="i")
    origin = Origin("ingest", "i", ingest.step_runs)
    monkeypatch.setenv("KFP_RUN_ID", "second")
    run_step("ingest", key="i")
    (spooled,) = Spool(spool_uri()).runs()
    sent = send(open_client(), Spool(spool_uri()), spooled)
    assert run_step("tokenize", origin, key="t").step_runs["ingest"] == sent.run_id


def test_a_run_that_comes_late_is_found_by_those_that_rest_on_it(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on a cluster, where a step does not see the spool of another one's pod."""
    with mlflow_store.away():
        ingest = run_step("ingest", key="i")
    Path(spool_uri()).rename(tmp_path / "of another pod")
    tokenize = run_step("tokenize", Origin("ingest", "i", ingest.step_runs), key="t")
    record = ingest.step_runs["ingest"]
    assert tokenize.step_runs == {"ingest": record, "tokenize": tokenize.run_id}
    origin = Origin("tokenize", "t", tokenize.step_runs)
    assert run_step("finetune", origin, key="f").step_runs["ingest"] == record
    spool = Spool(str(tmp_path / "of another pod"))
    sent = send(open_client(), spool, spool.runs()[0])
    later = run_step("finetune", origin, key="f")
    assert later.step_runs["ingest"] == sent.run_id
    tags = open_client().get_run(later.run_id).data.tags
    assert tags["decant.behind.ingest"] == sent.run_id


def test_a_bucket_can_be_the_spool(mlflow_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DECANT_SPOOL", "memory://bucket/spool")
    fsspec.filesystem("memory").store.clear()
    with mlflow_store.away():
        run_step("distill")
    spool = Spool(spool_uri())
    (run,) = spool.runs()
    with spool.locked() as is_free:
        assert is_free
        place = send(open_client(), spool, run)
    (child,) = mlflow_store.children()
    assert child.info.run_id == place.run_id
    assert child.data.metrics["accuracy"] == 0.8
    files = open_client().list_artifacts(place.run_id, "student")
    assert [file.path for file in files] == ["student/card.json"]
    assert spool.runs() == []
    assert not [name for name in fsspec.filesystem("memory").store if "spool" in name]


def test_processes_that_spool_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    code = (
        "import dataclasses, sys\n"
        "from decant.runtime.reporter import Reporter\n"
        "from decant.tracking.tracked_step import tracked_step\n"
        "Params = dataclasses.make_dataclass('Params', ['epochs'])\n"
        "reporter = Reporter(step='distill')\n"
        "with tracked_step('distill', sys.argv[1], Params(2), [], reporter):\n"
        "    for epoch in range(100):\n"
        "        reporter.point('loss', epoch, float(sys.argv[1]))\n"
    )
    environment = {
        **os.environ,
        "DECANT_TRACKING": "on",
        "DECANT_SPOOL": str(tmp_path),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "KFP_RUN_ID": "one",
    }
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(number)], env=environment)
        for number in range(3)
    ]
    while any(process.poll() is None for process in started):
        for run in Spool(str(tmp_path)).runs():
            assert run.record is not None, "a reader never sees half a record"
    assert [process.returncode for process in started] == [0, 0, 0]
    found = {}
    for run in Spool(str(tmp_path)).runs():
        assert run.record
        assert run.record.status == "FINISHED"
        found[run.record.tags["decant.identity"]] = [point.value for point in run.record.points]
    assert found == {str(number): [float(number)] * 100 for number in range(3)}


@pytest.fixture
def patient_server() -> Iterator[tuple[str, list[str]]]:
    """Alive, but every call of MLflow's API is answered 503, to be tried again in an hour."""
    requested: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            self.send_response(200 if self.path == "/health" else 503)
            self.send_header("Retry-After", "3600")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requested
        server.shutdown()


def test_a_server_in_trouble_is_not_waited_for(
    mlflow_store: Store, patient_server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client would sleep for as long as the server says, here an hour."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", patient_server[0])
    run_step("distill")
    assert only_record().status == "FINISHED"
    assert len(patient_server[1]) == 2, "/health, and one call"


def test_the_users_own_bounds_stand(mlflow_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    open_client()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"


def test_the_spool_lies_beside_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DECANT_SPOOL", raising=False)
    assert spool_uri() == str(identity.PROJECT / "mlflow-spool")


def test_a_run_that_another_process_sends_meanwhile_is_not_there(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`decant sync` removes runs while a step, or a second sync, lists them."""
    with mlflow_store.away():
        for number in range(3):
            run_step("distill", key=str(number))
    reader, other = Spool(spool_uri()), Spool(spool_uri())
    listed = reader.files.find(reader.root)
    other.remove(other.runs()[1])
    monkeypatch.setattr(reader.files, "find", lambda start: listed)
    assert [run.record.tags["decant.identity"] for run in reader.runs() if run.record] == ["0", "2"]


def test_a_record_of_another_version_is_refused() -> None:
    for content in (b"", b"{}", b"{"):
        with pytest.raises(ValueError, match="RunRecord"):
            read_record(content)
