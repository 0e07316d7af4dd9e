"""What only a person can change is said by the other side, with what helps, before a step works."""

import http.server
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from decant.tracking import tracked_step as tracking
from decant.tracking.mlflow_store import experiment_id, open_client
from decant.tracking.spool import Spool, spool_uri
from decant.tracking.sqlite_address import sqlite_file, sqlite_uri
from tests.errors import raises
from tests.mlflow_server import serving
from tests.spooling import Store, logged, quiet_reporter, run_step

HOST = "Invalid Host header - possible DNS rebinding attack detected"  # MLflow's own
NGINX = "<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>"
LOGIN = "<!doctype html><title>Sign in</title><form>Sign in to continue</form>"
ANSWERS = {
    "host": (403, HOST, "tracking-host-refused", [HOST, "--allowed-hosts 127.0.0.1:"]),
    "rights": (403, '{"message": "Permission denied"}', "tracking-access-denied", ["Permission"]),
    "login": (401, "You are not authenticated", "tracking-access-denied", ["not authenticated"]),
    "prefix": (404, NGINX, "tracking-address-wrong", ["404 Not Found", "/mlflow"]),
    "page": (200, LOGIN, "tracking-address-wrong", ["Sign in to continue"]),
}


@contextmanager
def answering(status: int, text: str, hangs: threading.Event | None = None) -> Iterator[str]:
    """A server that answers everything but /health so, or, with `hangs`, when that is set."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_health = self.path.endswith("/health")
            if hangs and not is_health:
                hangs.wait(60)
            self.send_response(200 if is_health else status)
            self.end_headers()
            self.wfile.write(b"OK" if is_health else text.encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        if hangs:
            hangs.set()
        running.shutdown()


@pytest.mark.parametrize("case", ANSWERS)
def test_a_servers_own_sentence_reaches_the_person(
    case: str, mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, text, code, values = ANSWERS[case]
    with answering(status, text) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with raises(code, url, f"HTTP {status}", *values):
            run_step("distill")
    assert Spool(spool_uri()).runs() == [], "nothing was done that could be lost"


@pytest.mark.slow
def test_a_name_that_mlflow_does_not_allow(
    mlflow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--workers", "1", "--allowed-hosts", "mlflow.example.org"]
    with serving(command, tmp_path / "log", tmp_path) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with raises("tracking-host-refused", HOST, "--allowed-hosts", url.removeprefix("http://")):
            run_step("distill")


def test_a_deleted_experiment(mlflow_store: Store) -> None:
    client = open_client()
    found = experiment_id(client)
    client.delete_experiment(found)
    with raises("tracking-experiment-deleted", f"--experiment-id {found}", "active"):
        run_step("distill")
    client.restore_experiment(found)
    assert run_step("distill").run_id


def test_a_run_or_an_experiment_that_is_not_there(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with raises("tracking-run-unknown", "0" * 32, "MLFLOW_RUN_ID"):
        run_step("distill")
    client = open_client()
    deleted = client.create_run(experiment_id(client)).info.run_id
    client.delete_run(deleted)
    monkeypatch.setenv("MLFLOW_RUN_ID", deleted)
    with raises("tracking-run-unknown", deleted, "mlflow runs restore"):
        run_step("distill")
    monkeypatch.delenv("MLFLOW_RUN_ID")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "4711")
    with raises("tracking-experiment-unknown", "4711", "MLFLOW_EXPERIMENT_ID"):
        run_step("distill")


def test_a_database_of_another_version(mlflow_store: Store, tmp_path: Path) -> None:
    """As an older MLflow leaves it behind."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", ("451aebb31d03",))
    SqlAlchemyStore._engine_map.pop(mlflow_store.uri, None)
    with raises("tracking-store-outdated", "451aebb31d03", "mlflow db upgrade"):
        run_step("distill")


def test_a_server_without_an_answer_costs_no_more_than_the_patience(
    mlflow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose database hangs: it answers /health, and nothing else while the test lasts."""
    monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 1.0)
    reporter, hangs = quiet_reporter(), threading.Event()
    with answering(200, "{}", hangs) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        run = run_step("distill", reporter=reporter)
        assert not hangs.is_set(), "the step did not wait for the answer"
    assert run.run_id == ""
    assert "no answer within" in logged(reporter) and "spooled" in logged(reporter)
    assert reporter.tracking_problem
    assert len(Spool(spool_uri()).runs()) == 1


@pytest.mark.parametrize("name", ["50%20off", "a?b", "a#b", "a b", "é"])
def test_a_store_and_its_files_in_a_folder_of_any_name(
    name: str, mlflow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (tmp_path / "mlflow.db").rename(folder / "mlflow.db")
    uri = sqlite_uri(folder / "mlflow.db")
    assert sqlite_file(uri) == folder / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run = run_step("distill")
    assert run.run_id
    assert [file.path for file in open_client().list_artifacts(run.run_id)] == ["student"]
    assert list((folder / "mlruns").rglob("card.json"))
    assert {path.name for path in tmp_path.iterdir()} == {name}, "no other folder was made"


def test_addresses_of_no_file() -> None:
    for uri in ("http://host/sqlite:///x", "sqlite://", "sqlite:///:memory:", "postgresql://h/d"):
        assert sqlite_file(uri) is None
    assert sqlite_file("sqlite:///mlflow.db") == Path("mlflow.db")
    assert sqlite_uri(Path("/a b/mlflow.db")) == "sqlite:////a b/mlflow.db"
