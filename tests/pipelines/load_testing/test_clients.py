"""Clients against a server that does what it is told: what they ask and count, when they end."""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from pipelines.load_testing.clients import Level, Limits, drive, request_bodies
from pipelines.load_testing.figures import figures

RIGHT = {"label": "positive", "score": 0.9}


class Server:
    """Answers with status and body; keeps the texts of each request and how many overlapped."""

    def __init__(self, answer: Callable[[int, list[str]], tuple[int, bytes]]) -> None:
        self.answer, self.asked = answer, list[list[str]]()
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[str]:
        own = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                texts = [row[0] for row in body["dataframe_split"]["data"]]
                with own.lock:
                    number = len(own.asked)
                    own.asked.append(texts)
                    own.busy += 1
                    own.most_busy = max(own.most_busy, own.busy)
                status, content = own.answer(number, texts)
                with own.lock:
                    own.busy -= 1
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
            threading.Thread(target=http.serve_forever, daemon=True).start()
            try:
                yield f"http://127.0.0.1:{http.server_address[1]}/invocations"
            finally:
                http.shutdown()


def right(number: int, texts: list[str]) -> tuple[int, bytes]:
    return 200, json.dumps({"predictions": [RIGHT] * len(texts)}).encode()


def ask(
    server: Server, *, texts: list[str], batch: int = 1, clients: int = 1, **limits: float
) -> Level:
    bound = Limits(**{"seconds": 60.0, "requests": 1000, **limits})  # type: ignore[arg-type]
    with server.running() as url:
        return drive(url, request_bodies(texts, batch), batch=batch, clients=clients, limits=bound)


def test_bodies_hold_every_text_in_requests_of_one_size() -> None:
    bodies = [json.loads(body)["dataframe_split"] for body in request_bodies(["a", "é", "c"], 2)]
    assert [body["data"] for body in bodies] == [[["a"], ["é"]], [["c"], ["a"]]]
    assert all(body["columns"] == ["text"] for body in bodies)
    assert len(request_bodies(["a"], 3)) == 1


@pytest.mark.parametrize("clients", [1, 3])
def test_so_many_requests_and_no_more(clients: int) -> None:
    server = Server(right)
    level = ask(server, texts=["a", "b", "c"], batch=2, clients=clients, requests=7)
    assert len(server.asked) == level.requests == len(level.latencies_ms) == 7
    assert not level.errors
    assert sorted(server.asked) == [["a", "b"]] * 4 + [["c", "a"]] * 3
    assert (level.clients, level.batch) == (clients, 2)
    assert (level.latencies_ms > 0).all()


def test_so_many_clients_at_once() -> None:
    gate = threading.Barrier(4, timeout=30)

    def together(number: int, texts: list[str]) -> tuple[int, bytes]:
        gate.wait()  # breaks, and the answers are lost, unless four requests are under way
        return right(number, texts)

    server = Server(together)
    level = ask(server, texts=["a"], clients=4, requests=8)
    assert (level.requests, level.errors.total(), server.most_busy) == (8, 0, 4)


def test_time_ends_it_too() -> None:
    server = Server(lambda number, texts: (time.sleep(0.01), right(number, texts))[1])
    level = ask(server, texts=["a"], clients=2, seconds=0.3)
    assert 0 < level.requests < 1000, "it takes 1,000 requests five seconds at least"
    assert level.requests == len(server.asked)


def test_errors_are_counted_by_their_kind_and_have_no_latency() -> None:
    answers = [
        (200, json.dumps({"predictions": [RIGHT]}).encode()),
        (400, b'{"message": "row 0 is no text"}'),
        (500, b"Internal Server Error"),
        (302, b""),
        (200, b"<html>"),
        (200, b'{"predictions": [{"label": "positive"}]}'),
        (200, json.dumps({"predictions": [RIGHT, RIGHT]}).encode()),
    ]
    server = Server(lambda number, _: answers[number % len(answers)])
    level = ask(server, texts=["a"], requests=2 * len(answers))
    assert level.errors == {
        "HTTP 400": 2,
        "HTTP 500": 2,
        "HTTP 302": 2,
        "an answer without predictions": 4,
        "an answer with another number of predictions": 2,
    }
    assert len(level.latencies_ms) == 2
    assert len(server.asked) == level.requests == 14, "a redirect is not followed"
    found = figures(level)
    assert (found["requests"], found["answers"]) == (14, 2)
    assert found["texts_per_second"] == pytest.approx(2 / level.seconds)


def test_no_answer_in_time_is_an_error() -> None:
    held = threading.Event()
    server = Server(lambda number, texts: (held.wait(30), right(number, texts))[1])
    with server.running() as url:
        limits = Limits(seconds=60, requests=2, timeout_seconds=0.2)
        level = drive(url, request_bodies(["a"], 1), batch=1, clients=2, limits=limits)
        held.set()
    assert level.errors == {"no answer in time": 2}
    assert figures(level)["latency_ms"] is None


def test_a_dead_server_is_not_asked_for_ever() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/invocations"
    limits = Limits(seconds=60, requests=3)
    level = drive(url, request_bodies(["a"], 1), batch=1, clients=2, limits=limits)
    assert level.errors == {"connection: ClientConnectorError": 3}


def test_percentiles_by_hand() -> None:
    """Of 1 to 101 ms the percentile p is 1 + p; the mean is 51."""
    level = Level(
        clients=2,
        batch=5,
        seconds=4.0,
        latencies_ms=np.random.default_rng(0).permutation(np.arange(1.0, 102.0)),
        errors=Counter({"HTTP 400": 3}),
        client_cpu_seconds=1.0,
        server_cpu_seconds=6.0,
        server_mib=100.0,
    )
    assert figures(level) == {
        "clients": 2,
        "batch": 5,
        "seconds": 4.0,
        "requests": 104,
        "answers": 101,
        "errors": {"HTTP 400": 3},
        "requests_per_second": 25.25,
        "texts_per_second": 126.25,
        "latency_ms": {
            "mean": pytest.approx(51),
            "p50": pytest.approx(51),
            "p95": pytest.approx(96),
            "p99": pytest.approx(100),
            "max": 101.0,
        },
        "client_cpu_share": 0.25,
        "server_cpu_share": 1.5,
        "server_mib": 100.0,
    }
