"""The load generator against a server that is known, and the whole benchmark on a small model."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.serving.clients import load
from benchmarks.serving.command import serving_command
from benchmarks.serving.servers import PROGRAM, TABLE, image_program, serving
from decant.runtime.identity import canonical_json
from tests.errors import raises
from tests.word_models import TASKS, write_word_model

WAIT_SECONDS = 0.02


class Slow(BaseHTTPRequestHandler):
    """Answers after a while, in two parts; 500 to a text that is `bad`."""

    protocol_version = "HTTP/1.1"
    seen: list[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        ((text,),) = body["dataframe_split"]["data"]
        self.seen.append(text)
        time.sleep(WAIT_SECONDS)
        self.send_response(500 if text == "bad" else 200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"abc")
        self.wfile.flush()
        self.wfile.write(b"def")

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Slow.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_each_client_waits_for_its_answer(port: int) -> None:
    requests = [TABLE.request(text) for text in ("one", "two", "three")]
    found = load(port, requests, clients=4, seconds=0.5)
    assert len(found.latencies) == len(Slow.seen)
    assert min(found.latencies) >= WAIT_SECONDS
    # All clients together never have more than one request each.
    assert sum(found.latencies) <= 4 * found.seconds
    assert found.seconds >= 0.5
    assert set(Slow.seen) == {"one", "two", "three"}


def test_a_server_that_refuses_is_not_measured(port: int) -> None:
    with pytest.raises(ConnectionError, match="500"):
        load(port, [TABLE.request("bad")], clients=1, seconds=0.1)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        raises("benchmark-failed", "cannot be loaded"),
        serving(image_program(PROGRAM), tmp_path / "nothing", TABLE),
    ):
        pass


@pytest.mark.slow
def test_the_whole_benchmark(tmp_path: Path, tiny_params: dict[str, Any]) -> None:
    (tmp_path / "params.yaml").write_text(canonical_json(tiny_params), "utf-8")
    targets, weights = TASKS["single_label"]
    model = write_word_model(tmp_path / "exported", weights, targets)
    options = ["--model", str(model), "--params", str(tmp_path / "params.yaml"), "--seconds", "0.3"]
    options += ["--output", str(tmp_path / "serving.json"), "--clients", "1", "--clients", "2"]
    options += ["--before", str(PROGRAM), "--without-mlflow"]
    result = CliRunner().invoke(serving_command, options, catch_exceptions=False)
    assert result.exit_code == 0
    entries = json.loads((tmp_path / "serving.json").read_text("utf-8"))["entries"]
    assert [(one["server"], one["request"], one["clients"]) for one in entries] == [
        (server, request, clients)
        for server, request in (
            ("serve image, before", "/invocations"),
            ("serve image", "/invocations, another column"),
            ("serve image", "/invocations"),
            ("serve image", "/v2"),
        )
        for clients in (1, 2)
    ]
    for one in entries:
        assert 0 < one["p50_ms"] <= one["p95_ms"] <= one["p99_ms"]
        assert one["texts_per_second"] > 0
        assert f"| {one['server']} | {one['request']} | {one['clients']} |" in result.output
