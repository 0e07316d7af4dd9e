"""docker/serve.py under attack, over real sockets; and its figures and readiness."""

import asyncio
import contextlib
import json
import re
import runpy
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.register.registry import save_model
from tests.docker.test_serve import SERVE, post, serving, table_of
from tests.word_models import TASKS, write_word_model

SERVER = runpy.run_path(str(SERVE))
READ_SECONDS = 1.0
MOST = 40
HEAD = (
    b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits")
    targets, weights = TASKS["single_label"]
    save_model(write_word_model(folder / "exported", weights, targets), folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def port(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server that gives up soon and holds little."""
    settings = {
        "READ_SECONDS": str(READ_SECONDS),
        "MAX_CONNECTIONS": str(MOST),
        "MAX_BODIES_BYTES": str(1 << 20),
    }
    with serving(model, tmp_path_factory.mktemp("log") / "serve.log", **settings) as (port, _):
        yield port


@contextlib.contextmanager
def connections(port: str, number: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(number):
            found.append(stack.enter_context(socket.create_connection(("127.0.0.1", int(port)))))
            found[-1].settimeout(30)
            found[-1].sendall(sent)
        yield found


def read_all(connection: socket.socket) -> bytes:
    """Until the server closes."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            answer += part
    return answer


def figures(port: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        lines = answer.read().decode().splitlines()
    values = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in values}


def is_ready(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as answer:
            return bool(answer.status == 200 and json.load(answer) == {"status": "ready"})
    except urllib.error.HTTPError as refused:
        assert refused.code == 503
        return False


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", b"POST /invocations HTTP/1.1\r\nhost: a\r\n"])
def test_two_hundred_idle_connections_keep_nobody_out(port: str, sent: bytes) -> None:
    with connections(port, 200, sent) as idle:
        began = time.monotonic()
        for _ in range(3):
            assert len(post(port, table_of("good", "bad"))["predictions"]) == 2
        assert time.monotonic() - began < READ_SECONDS
        assert figures(port)["decant_connections"] <= MOST
        answers = [read_all(one) for one in idle]
        assert time.monotonic() - began < 3 * READ_SECONDS, "all are closed in time"
    assert set(answers) <= {b"", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n"
                            b"connection: close\r\n\r\n"}  # fmt: skip
    assert figures(port)['decant_connections_closed_total{why="idle"}'] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent", [b"POST /invocations HTTP/1.1\r\n", HEAD % 1000, HEAD % 1000 + b"{"]
)
def test_a_request_that_comes_byte_by_byte_is_answered_with_408(port: str, sent: bytes) -> None:
    began = time.monotonic()
    with connections(port, 1, sent) as (slow,):
        slow.settimeout(0.2)
        answer = b""
        while not answer:
            assert time.monotonic() - began < 3 * READ_SECONDS
            with contextlib.suppress(ConnectionError):
                slow.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                answer = slow.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in answer
    assert time.monotonic() - began >= READ_SECONDS


@pytest.mark.slow
def test_when_all_connections_are_busy_a_new_one_is_told_when_to_come_again(port: str) -> None:
    with connections(port, MOST, HEAD % 1000 + b"{"):
        time.sleep(0.3)  # until their heads are read
        with connections(port, 1) as (late,):
            answer = read_all(late)
        assert answer.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in answer
    assert post(port, table_of("good"))["predictions"]
    assert figures(port)['decant_connections_closed_total{why="refused"}'] == 1


@pytest.mark.slow
def test_all_bodies_together_are_bounded_and_small_ones_have_room(port: str) -> None:
    body = json.dumps({"inputs": ["a" * 1000] * 300}).encode()  # 0.3 MB of 1 MB
    almost = HEAD % len(body) + body[:-10]
    before = figures(port)
    with connections(port, 2, almost) as held:
        while figures(port)["decant_bodies_bytes"] < 2 * (len(body) - 10):
            time.sleep(0.02)
        with connections(port, 1, almost + body[-10:]) as (third,):
            refused = read_all(third)
        assert len(post(port, table_of("good"))["predictions"]) == 1
        for one in held:
            one.sendall(body[-10:])
            assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert refused.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in refused
    assert b"other requests take all room" in refused
    after = figures(port)
    assert after["decant_bodies_bytes"] == 0
    name = 'decant_requests_total{status="503"}'
    assert after[name] == before.get(name, 0) + 1
    assert after["decant_rows_total"] == before["decant_rows_total"] + 601


@pytest.mark.slow
def test_a_client_that_does_not_read_its_answer_is_cut_off(port: str) -> None:
    body = json.dumps({"inputs": ["a"] * 100_000}).encode()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", int(port)))
        deaf.sendall(HEAD % len(body) + body)
        deadline = time.monotonic() + 30
        while not figures(port)['decant_connections_closed_total{why="unread"}']:
            assert time.monotonic() < deadline
            time.sleep(0.2)


SOUND = json.dumps({"inputs": ["good"]}).encode()


def whole(more: bytes = b"", body: bytes = SOUND) -> bytes:
    return (HEAD % len(body)).replace(b"host: a\r\n", b"host: a\r\n" + more) + body


@pytest.mark.slow
def test_a_wish_for_another_protocol_is_ignored(port: str) -> None:
    """Java's client wishes for HTTP/2 in every first request; llhttp would skip the body."""
    wish = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    with connections(port, 1, whole(wish)) as (client,):
        for _ in range(2):
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ") and b'"positive"' in answer
            client.sendall(whole(wish))
        client.recv(65536)
    with connections(port, 1, whole(body=b'{"inputs": ["good\\r\\nupgrade: bad"]}')) as (client,):
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "begun",
    [
        b"POST /invocations HTTP/1.1\r\nhost: a\r\nx: ",
        b"POST /invocations HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
        b"\r\n",
    ],
    ids=["head", "trailers", "line ends"],
)
def test_what_is_no_body_has_an_end(port: str, begun: bytes) -> None:
    with connections(port, 1, begun) as (endless,):
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 4 << 20:
                endless.sendall(b"\r\n" * 8192 if begun == b"\r\n" else b"a" * 16384)
                sent += 16384
                time.sleep(0.005)  # for it to be read in parts
        assert sent < 4 << 20, "the server closes it"


@pytest.mark.slow
def test_a_sound_request_is_answered_whatever_follows_it(port: str) -> None:
    with connections(port, 1, whole() + b"nonsense\r\n\r\n") as (client,):
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200 ") and b'"positive"' in answer
    assert b"connection: close" in answer


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_",
    [
        whole(b"host: b\r\n"),
        whole().replace(b"host: a\r\n", b""),
        whole().replace(b"HTTP/1.1", b"HTTP/9.9"),
        whole().replace(b" HTTP/1.1", b""),
        whole(b"content-length: 5\r\n"),
        whole(b"transfer-encoding: chunked\r\n"),
        whole(b"x: a\x00b\r\n"),
        whole().replace(b"\r\n", b"\n"),
        whole(b"transfer-encoding: gzip, chunked\r\n").replace(b"content-length", b"x"),
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(port: str, request_: bytes) -> None:
    with connections(port, 1, request_) as (client,):
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1


@pytest.mark.slow
def test_half_a_request_is_not_answered(port: str) -> None:
    """A table that is cut off after a row is a table too."""
    head = (HEAD % 100).replace(b"application/json", b"text/csv")
    before = figures(port)
    with connections(port, 1, head + b"text\ngood\n"):
        pass
    deadline = time.monotonic() + 10
    while not (after := figures(port)).get('decant_requests_total{status="499"}'):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert after["decant_rows_total"] == before["decant_rows_total"]


@pytest.mark.slow
def test_it_is_ready_until_sigterm_and_answers_a_while_longer(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path / "serve.log", DRAIN_SECONDS="2") as (port, process):
        assert is_ready(port)
        assert figures(port)["decant_ready"] == 1
        assert figures(port)["decant_request_seconds_count"] == 0, "the trial is nobody's request"
        post(port, table_of("good", "bad"))
        with pytest.raises(urllib.error.HTTPError):
            post(port, {"inputs": [5]})
        found = figures(port)
        assert found['decant_requests_total{status="200"}'] == 1
        assert found['decant_requests_total{status="400"}'] == 1
        assert found["decant_rows_total"] == 2
        assert found['decant_request_seconds_bucket{le="+Inf"}'] == 2
        assert 0 < found["decant_request_seconds_sum"] < 60
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert not is_ready(port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as alive:
            assert alive.status == 200
        assert len(post(port, table_of("good"))["predictions"]) == 1
        assert process.wait(15) == 0, (tmp_path / "serve.log").read_text()


def asked(app: Any, *, body: bytes = b'{"inputs": ["a", "b"]}') -> tuple[int, Any]:
    """Status and content of the answer that the program gives with an application behind it."""
    requests = SERVER["Requests"](app, SERVER["Limits"]())
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers}
    asyncio.run(requests(scope, receive, send))
    assert requests.bodies.in_hand == 0
    assert requests.figures.statuses == {sent[0]["status"]: 1}
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize("answers", [[], [{}], [{}, {}, {}], None])
def test_fewer_or_more_answers_than_rows_are_an_error(answers: list[Any] | None) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = json.dumps({"predictions": answers}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    status, content = asked(app)
    assert status == 500
    assert re.fullmatch(r"the model gave \d answers to 2 rows", content["message"])


@pytest.mark.parametrize("name", ["MAX_CONNECTIONS", "READ_SECONDS", "MAX_BODIES_BYTES"])
@pytest.mark.parametrize("value", ["many", "-1", "nan", "0"])
def test_a_limit_that_is_none_is_refused(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"{name} is '{value}', not a number"):
        SERVER["Limits"].of_environment()


@pytest.mark.parametrize(
    "text",
    [
        "RestException: https://me:pl4nted/a@b@host/api: 401",
        "Max retries exceeded with url: /api/get?name=m&token=pl4nted (Caused by",
        "https://pl4nted@host",
        "s3://bucket/model?X-Amz-Signature=pl4nted",
        "the token pl4nted-token is refused",
    ],
)
def test_an_error_shows_no_secret(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "pl4nted-token")
    assert "pl4nted" not in SERVER["without_secrets"](text)
    assert SERVER["without_secrets"]("models:/a@b in s3://c/d") == "models:/a@b in s3://c/d"
