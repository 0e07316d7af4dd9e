"""A tracking server as a team runs it: PostgreSQL, an artifact proxy, and a token at the door."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_PASSWORD = "of the database"
_SKIPPED_HEADERS = {"transfer-encoding", "connection", "content-length", "server", "date"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    command: list[str], log: Path, cwd: Path, *, port: int = 0, **environment: str
) -> Iterator[str]:
    """`mlflow COMMAND` on a loopback port, once it answers; its URL. Ended with its children."""
    port = port or free_port()
    arguments = [sys.executable, "-m", "mlflow", *command, "--host", "127.0.0.1"]
    settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("a") as stream:
        process = subprocess.Popen(
            [*arguments, "--port", str(port)],
            cwd=cwd,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **settings, **environment},
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while not _answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


@contextmanager
def serving_sqlite(folder: Path) -> Iterator[str]:
    """A server of one worker with its database and files in the folder; its URL."""
    command = ["server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
    with serving(command, folder / "server.log", folder) as url:
        yield url


@contextmanager
def postgres() -> Iterator[str]:
    """A new database in PostgreSQL; the URI for `mlflow server`.

    Skips the test where PostgreSQL is not installed, or there is no other user than root, as whom
    it refuses to run.
    """
    programs = _postgres_programs()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder, port = Path(name), free_port()
        as_user = _as_user(folder)

        def run(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [*as_user, str(programs / program), *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

        password = folder / "password"
        password.write_text(_PASSWORD)
        password.chmod(0o644)
        data = str(folder / "data")
        run("initdb", "--pgdata", data, "--username", "mlflow", "--encoding", "UTF8", "--no-sync",
            "--auth", "scram-sha-256", "--pwfile", str(password))  # fmt: skip
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        log = str(folder / "log")
        run("pg_ctl", "start", "--wait", "--pgdata", data, "--log", log, "--options", settings)
        try:
            secret = _PASSWORD.replace(" ", "%20")
            yield f"postgresql+psycopg://mlflow:{secret}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--pgdata", data, "--mode", "immediate")


def asking_for(token: str, behind: str) -> AbstractContextManager[str]:
    """A reverse proxy that lets only those in who bring the token; its URL."""
    refusal = (401, b"no valid token")
    return _door(behind, lambda sent: None if sent == f"Bearer {token}" else refusal)


@dataclass
class Trouble:
    """How many of the next requests are answered 503, and how many were."""

    left: int = 0
    answered: int = 0

    def take(self) -> bool:
        """Whether the next request is one of them."""
        if self.left <= 0:
            return False
        self.left, self.answered = self.left - 1, self.answered + 1
        return True


def troubled(trouble: Trouble, behind: str) -> AbstractContextManager[str]:
    """A reverse proxy that fails as often as is left; its URL."""
    return _door(behind, lambda _: (503, b"in trouble") if trouble.take() else None)


@contextmanager
def _door(behind: str, refuse: Callable[[str | None], tuple[int, bytes] | None]) -> Iterator[str]:
    """`refuse` answers a request by its header Authorization, or lets it pass."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if refusal := refuse(self.headers.get("Authorization")):
                self._answer(refusal[0], {"Content-Type": "text/plain"}, refusal[1])
                return
            sent = {name: value for name, value in self.headers.items() if name != "Authorization"}
            request = urllib.request.Request(
                behind + self.path, body or None, sent, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self._answer(answer.status, dict(answer.headers), answer.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, dict(error.headers), error.read())
            except OSError:
                self._answer(502, {"Content-Type": "text/plain"}, b"nothing behind the door")

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in _SKIPPED_HEADERS:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _postgres_programs() -> Path:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("initdb"):
        folders.insert(0, Path(found).resolve().parent)
    for folder in folders:
        if (folder / "initdb").is_file() and (folder / "pg_ctl").is_file():
            return folder
    pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")


def _as_user(folder: Path) -> list[str]:
    """How to run a program as a user who owns the folder and is not root."""
    if os.getuid() != 0:
        return []
    try:
        shutil.chown(folder, "postgres")
    except LookupError:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user `postgres`")
    return ["runuser", "-u", "postgres", "--"]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
