"""Secrets of every form are planted, and searched for in everything that is written.

The servers are real, on loopback: files over HTTP behind a login, a Git repository behind the same
login, and MLflow, whose address has a user and a password.
"""

import json
import os
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import fsspec.config
import pytest
from ruamel.yaml import YAML

from decant.runtime.ending import exit_on_error
from decant.runtime.identity import PROJECT
from decant.runtime.reporter import Reporter
from decant.tracking.tracked_step import tracked_step
from pipelines.__main__ import main
from tests.mlflow_server import serving_sqlite
from tests.planted import LOGIN, PASSWORD, WORD, is_leak, leaks
from tests.spooling import Params as RunParams

pytestmark = pytest.mark.slow

TOKEN = f"{WORD}-token"
ENCODER = "ingest.encoder=hf://org/bert@" + "0" * 40  # one that pods read, and nobody fetches
# `{}` is the server; each is refused before anything is fetched or written.
SOURCES = {
    "a user name": f"http://{TOKEN}@{{}}/reviews.csv",
    "a user name with a password": f"http://me:{TOKEN}@{{}}/reviews.csv",
    "signs in a password": f"http://me:{WORD}/a@b:c@{{}}/reviews.csv",
    "S3's signature": f"http://{{}}/reviews.csv?X-Amz-Credential=k&X-Amz-Signature={WORD}",
    "S3's older signature": f"http://{{}}/reviews.csv?AWSAccessKeyId=k&Signature={WORD}&Expires=1",
    "Azure's signature": f"http://{{}}/reviews.csv?sv=2026-01-01&se=2027&sp=r&sig={WORD}%3D",
    "a token": f"http://{{}}/reviews.csv?v=1&token={WORD}",
    "a fragment with a name": f"http://{{}}/reviews.csv#access_token={WORD}",
    "a fragment": f"http://{{}}/reviews.csv#{WORD}",
    "a repository's token": f"dvc://http://{TOKEN}@{{}}/data.git@main/reviews.csv",
    "a repository's password": f"dvc://http://me:{WORD}/a@b@{{}}/data.git@main/reviews.csv",
    "a chain": f"simplecache::http://{TOKEN}@{{}}/reviews.csv",
    "a bucket's key": f"s3://key:{WORD}@bucket/reviews.csv",
}


@contextmanager
def behind_a_login(files: Path) -> Iterator[str]:
    """HOST:PORT of a server of files, and of Git repositories by Git's own program."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            kind, _, login = self.headers.get("Authorization", "").partition(" ")
            if kind != "Basic" or b64decode(login).decode() != f"me:{PASSWORD}":
                self._send(401, b"", {"WWW-Authenticate": 'Basic realm="data"'})
                return
            address = urlsplit(self.path)
            file = files / address.path.lstrip("/")
            if ".git/" in address.path:
                self._git(address.path, address.query)
            elif file.is_file():
                self._send(200, b"" if self.command == "HEAD" else file.read_bytes(), {})
            else:
                self._send(404, b"", {})

        do_GET = do_HEAD = do_POST = _answer

        def _git(self, path: str, query: str) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    sent += self.rfile.read(size)
                    self.rfile.readline()
            variables = {
                "GIT_PROJECT_ROOT": str(files),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "me",
            }
            done = subprocess.run(
                ["git", "http-backend"],
                input=sent,
                env=os.environ | variables,
                stdout=subprocess.PIPE,
                check=False,
            )
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self._send(int(headers.pop("Status", "200").split()[0]), body, headers)

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, tiny_csv: Path) -> Iterator[str]:
    """Serves reviews.csv, and data.git with it at `main`."""
    files = tmp_path_factory.mktemp("served")
    (files / "reviews.csv").write_bytes(tiny_csv.read_bytes())
    work = tmp_path_factory.mktemp("work")
    (work / "reviews.csv").write_bytes(tiny_csv.read_bytes())
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "reviews.csv"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "data"],
        ["clone", "-q", "--bare", str(work), str(files / "data.git")],
    ):
        subprocess.run(["git", *command], cwd=work, check=True)
    with behind_a_login(files) as address:
        yield address


@pytest.fixture
def home(tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the logins belong: variables, and Git's own file. All else is below tmp_path."""
    home = tmp_path / "home"
    (tmp_path / "tmp").mkdir()
    home.mkdir()
    (home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    login = f"me:{quote(PASSWORD, safe='')}"
    (home / ".git-credentials").write_text(f"http://{login}@{host.replace(':', '%3a')}\n")
    headers = {"headers": {"Authorization": f"Basic {LOGIN}"}}
    for name, value in {
        "HOME": str(home),
        "TMPDIR": str(tmp_path / "tmp"),
        "DECANT_CACHE": str(tmp_path / "cache"),
        "DECANT_SPOOL": str(tmp_path / "spool"),
        "DECANT_TRACKING": "on",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "FSSPEC_HTTP": json.dumps(headers),
        "MLFLOW_TRACKING_URI": f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(fsspec.config.conf, "http", headers)  # read from it on the first import
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return home


@pytest.fixture
def params(tmp_path: Path, tiny_params: dict[str, Any], host: str, home: Path) -> Path:
    """What is read over HTTP has an address without a login."""
    content = json.loads(json.dumps(tiny_params))
    content["ingest"] |= {
        "source": f"http://{host}/reviews.csv?v=1",
    }
    file = tmp_path / "params.yaml"
    YAML().dump(content, file)
    return file


@pytest.fixture
def decant(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A command that ends with a message; what it printed."""

    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended, exit_on_error():
            main(list(arguments), prog_name="decant")
        assert ended.value.code == 2
        return "".join(capfd.readouterr())

    return call


def ingest(params: Path, output: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    ports = ["--corpus", str(output / "corpus"), "--encoder", str(output / "encoder")]
    return subprocess.run(
        [sys.executable, "-m", "components", "ingest", "--params", str(params), *ports, *more],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("form", SOURCES)
def test_an_address_with_a_secret_is_refused_and_shown_nowhere(
    form: str, host: str, params: Path, tmp_path: Path, decant: Callable[..., str]
) -> None:
    uri = SOURCES[form].format(host)
    setting = ("--params", str(params), "--set", f"ingest.source={uri}")
    ports = ("--corpus", str(tmp_path / "corpus"), "--encoder", str(tmp_path / "encoder"))
    for text in (
        decant("step", "ingest", *setting, *ports),
        decant("init", uri, "--output", str(tmp_path / "mine.yaml")),
    ):
        assert text.startswith(("error[secret-exposed]", "error[uri-invalid]")), text
        assert not is_leak(text), text
    assert not leaks(tmp_path, besides=(tmp_path / "home" / ".git-credentials",))
    assert not (tmp_path / "corpus").exists() and not (tmp_path / "mine.yaml").exists()


@pytest.mark.parametrize("form", ["signs in a password", "Azure's signature"])
def test_no_command_takes_one_or_quotes_one(
    form: str, host: str, params: Path, tmp_path: Path, decant: Callable[..., str]
) -> None:
    uri = SOURCES[form].format(host)
    mine = ("--params", str(params), "--set")
    package = ("--output", str(tmp_path / "package.yaml"))
    broken = tmp_path / "home" / "broken.yaml"
    broken.write_text(f"ingest:\n  source: '{uri}\n")
    for command, code in {
        ("run", *mine, f"ingest.source={uri}", "--output", str(tmp_path / "run")): "secret-exposed",
        ("compile", *mine, f"ingest.source={uri}", *package): "secret-exposed",
        ("compile", *mine, ENCODER, *package, "--mlflow-uri", uri): "secret-exposed",
        ("run", *mine, uri): "",
        ("run", *mine, f"ingest.source: [{uri}"): "",
        ("run", *mine, f"ingest.nothing={uri}"): "parameter-unknown",
        ("run", *mine, f"ingest.source=[{uri}"): "override-invalid",
        ("run", "--params", str(broken)): "file-invalid",
        ("run", "--runner", uri): None,  # click's own message
    }.items():
        text = decant(*command)
        assert text.startswith("Usage:" if code is None else f"error[{code}"), text
        assert not is_leak(text), text
    assert not leaks(tmp_path, besides=(tmp_path / "home" / ".git-credentials", broken))
    assert not (tmp_path / "package.yaml").exists() and not (tmp_path / "run").exists()


def test_logins_that_are_used_are_written_nowhere(
    params: Path, home: Path, host: str, tmp_path: Path
) -> None:
    with serving_sqlite(tmp_path) as url:
        os.environ["MLFLOW_TRACKING_URI"] = url.replace("://", f"://me:{quote(PASSWORD, safe='')}@")
        git = f"ingest.unlabelled=['dvc://http://{host}/data.git@main/reviews.csv']"
        done = ingest(params, tmp_path / "artifacts", "--set", git)
        failed = ingest(params, tmp_path / "failed", "--set", f"ingest.test=http://{host}/no?v=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert failed.returncode == 2 and "error[source-" in failed.stderr, failed.stderr
    for text in (done.stdout, done.stderr, failed.stdout, failed.stderr):
        assert not is_leak(text), text
    written = {file.name for file in tmp_path.rglob("*")}
    assert {"card.json", "mlflow.db", "pin"} <= written
    assert not leaks(tmp_path, besides=(home / ".git-credentials",))
    assert not list((tmp_path / "tmp").rglob(".git")), "clones are removed"


def test_a_run_that_mlflow_did_not_take_has_no_login(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    reporter = Reporter(step="ingest")
    problem = f"403 of http://me:{PASSWORD}@host/api, Authorization: Basic {LOGIN}"
    with (
        pytest.raises(OSError, match="403"),
        tracked_step("ingest", "key", RunParams(), [], reporter),
    ):
        raise OSError(problem)
    told = "".join(capfd.readouterr())
    assert "spooled in" in told and not is_leak(told)
    (record,) = (tmp_path / "spool").rglob("run.json")
    assert "403 of http://" in record.read_text() and "127.0.0.1:9" in record.read_text()
    assert not leaks(tmp_path, besides=(home / ".git-credentials",))


def test_a_package_has_no_login(params: Path, home: Path, tmp_path: Path) -> None:
    package = tmp_path / "package.yaml"
    command = ["compile", "--params", str(params), "--output", str(package)]
    main([*command, "--set", ENCODER, "--mlflow-uri", "https://mlflow"], standalone_mode=False)
    assert package.is_file()
    assert not leaks(tmp_path, besides=(home / ".git-credentials",))
