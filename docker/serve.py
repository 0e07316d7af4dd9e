"""The serve image's program: MLflow's scoring server for one model, in one process.

MODEL_URI   models:/NAME/VERSION or models:/NAME@ALIAS, with MLFLOW_TRACKING_URI; or a folder that
            has a model in MLflow's layout. /model in the image.
PORT        8080 in the image
HOST        0.0.0.0, all addresses, when it is not set
MAX_CONNECTIONS, MAX_BODIES_BYTES, READ_SECONDS, DRAIN_SECONDS: see serve_limits.py

Routes: /ping, /health, /version, /invocations, as `mlflow models serve` has them; /ready and
/metrics. That command would start a second process and not wait for its end; here SIGTERM reaches
the server itself.

serve_requests.py checks a request before MLflow sees it. An answer has as many predictions as the
request has rows, and an error is a code and a message, never a stack trace.
"""

import asyncio
import contextlib
import gc
import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # PYTHONSAFEPATH leaves it out

from serve_limits import (
    RETRY_AFTER_SECONDS,
    SMALL_BODY_BYTES,
    Bodies,
    Body,
    Connections,
    Figures,
    Limits,
    protocol_of,
)
from serve_requests import EXAMPLE, JSON, MAX_BODY_BYTES, Checked, Refused, checked, read_request

__all__ = ["checked"]  # for the tests of what is sent

GRACE_SECONDS = 20  # for the open requests
# Of a body that is refused so much is read without being kept: a client that is still sending
# would meet a closed connection in place of the answer.
MAX_DISCARDED_BYTES = 16 * MAX_BODY_BYTES
GONE = 499  # as nginx counts a client that went away
_OF_THE_BODY = (b"content-type", b"content-length")
_SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Rows = Callable[[list[str]], list[dict[str, Any]]]


def main() -> None:
    """Serve until SIGTERM, then answer the open requests, and end with code 0."""
    # The first process of a container ignores the signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    limits = Limits.of_environment()
    import uvicorn
    from mlflow.pyfunc.scoring_server import init

    model = _load(os.environ["MODEL_URI"])
    app = Requests(init(model), limits, _rows_of(model))
    gc.collect()
    gc.freeze()  # or a request may wait a third of a second for the collector
    config = uvicorn.Config(
        app,
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ["PORT"]),
        access_log=False,
        http=protocol_of(app.connections),
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):
        _server(config, app).run()


def is_healthy() -> None:
    """Raises OSError when the server of this container does not answer."""
    urllib.request.urlopen(f"http://127.0.0.1:{os.environ['PORT']}/ping", timeout=2).close()


def _server(config: Any, app: "Requests") -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """Becomes ready with an answer of the model; after SIGTERM it is not, and goes on a while.

        A second signal ends it at once.
        """

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            self._loop = asyncio.get_running_loop()
            await app.try_out()

        def handle_exit(self, sig: int, frame: Any) -> None:
            is_first = not app.is_ending
            app.is_ending = True
            if sig == signal.SIGTERM and is_first and app.limits.drain_seconds and self.started:
                end = super().handle_exit
                wait = app.limits.drain_seconds
                self._loop.call_soon_threadsafe(self._loop.call_later, wait, end, sig, frame)
            else:
                super().handle_exit(sig, frame)

    return Server(config)


class Requests:
    """Refuses what the model cannot answer, or the server not hold; MLflow's app does the rest.

    Args:
        rows: gives texts to the model itself, which takes a fourth of the time of the way through
            MLflow's tables. It answers what holds texts alone; None leaves that to MLflow too.
    """

    def __init__(self, app: App, limits: Limits, rows: Rows | None = None) -> None:
        self.app, self.limits, self.rows = app, limits, rows
        self.bodies, self.connections = Bodies(limits.bodies_bytes), Connections(limits)
        self.figures = Figures(self.bodies, self.connections)
        self.has_answered = False
        self.is_ending = False

    @property
    def is_ready(self) -> bool:
        return self.has_answered and not self.is_ending

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        route = (scope.get("method"), scope.get("path")) if scope["type"] == "http" else None
        if route == ("POST", "/invocations"):
            await self._score(scope, receive, send)
        elif route == ("GET", "/ready"):
            state = "ending" if self.is_ending else "ready" if self.has_answered else "starting"
            status = 200 if self.is_ready else 503
            await _answer(send, status, json.dumps({"status": state}).encode())
        elif route == ("GET", "/metrics"):
            text = self.figures.text(is_ready=self.is_ready).encode()
            await _answer(send, 200, text, kind="text/plain; version=0.0.4; charset=utf-8")
        else:
            await self.app(scope, receive, send)

    async def try_out(self) -> None:
        """Have the model answer a text; logs why it does not, and is then never ready."""
        try:
            await self._scored(scoring_scope(), EXAMPLE.encode(), JSON)
        except Refused as refused:
            print(f"error[model-unreadable]: no answer to a text: {refused}", file=sys.stderr)
        else:
            self.has_answered = True

    async def _score(self, scope: Message, receive: Receive, send: Send) -> None:
        began, rows, status = time.perf_counter(), 0, GONE
        kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
        try:
            with self.bodies.one() as body:
                await self._read(receive, body)
                answer, found = await self._scored(scope, body.whole(), kind)
            rows, status = found or 0, 200
            await _answer(send, status, answer)
        except Refused as refused:
            status = refused.status
            await _refuse(send, refused)
        except ConnectionError:  # nobody is left to answer
            pass
        except Exception:
            status = 500  # a mistake of this program, which uvicorn logs and answers
            raise
        finally:
            self.figures.add(status, rows, time.perf_counter() - began)

    async def _read(self, receive: Receive, body: Body) -> None:
        """Raises Refused for one too many, too large or too slow, ConnectionError for a part."""
        size, is_kept, more = 0, True, True
        try:
            async with asyncio.timeout(self.limits.read_seconds):
                while more and size <= MAX_DISCARDED_BYTES:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionError
                    part = message.get("body", b"")
                    size += len(part)
                    is_kept = is_kept and size <= MAX_BODY_BYTES and body.add(part)
                    if not is_kept:
                        body.drop()
                    more = message.get("more_body", False)
        except TimeoutError:
            seconds = f"{self.limits.read_seconds:g} s"
            raise Refused(f"the body did not arrive within {seconds}", status=408) from None
        if size > MAX_BODY_BYTES:
            limit = f"{MAX_BODY_BYTES:,} bytes"
            raise Refused(f"the body is larger than {limit}; send fewer texts at once", status=413)
        if not is_kept:
            raise Refused("other requests take all room for bodies; send it again", status=503)

    async def _scored(self, scope: Message, body: bytes, kind: str) -> tuple[bytes, int | None]:
        """MLflow's answer and the rows in it. Raises Refused for everything but an answer to all.

        The number of rows is None where MLflow alone knows it.
        """
        if len(body) > SMALL_BODY_BYTES:  # others are not to wait for it
            request = await asyncio.to_thread(read_request, body, kind)
            answer = await asyncio.to_thread(self._own_answer, request)
        else:
            request = read_request(body, kind)
            answer = self._own_answer(request)
        return (
            (answer, request.rows)
            if answer is not None
            else await self._through_mlflow(scope, request)
        )

    def _own_answer(self, request: Checked) -> bytes | None:
        """The same bytes as MLflow's, from the model itself; None where it is to answer."""
        if self.rows is None or request.texts is None:
            return None
        try:
            return json.dumps({"predictions": self.rows(request.texts)}).encode()
        except Exception:  # whatever it is, MLflow says it in its own words
            return None

    async def _through_mlflow(self, scope: Message, request: Checked) -> tuple[bytes, int | None]:
        body, kind, rows, _ = request
        others = [one for one in scope["headers"] if one[0] not in _OF_THE_BODY]
        values = (kind.encode("latin-1"), str(len(body)).encode())
        scope = {**scope, "headers": [*others, *zip(_OF_THE_BODY, values, strict=True)]}
        unread = [{"type": "http.request", "body": body, "more_body": False}]
        done = asyncio.Event()
        status, answer = 500, bytearray()

        async def receive_again() -> Message:
            if not unread:
                await done.wait()
                return {"type": "http.disconnect"}
            return unread.pop()

        async def keep(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.extend(message.get("body", b""))

        await self.app(scope, receive_again, keep)
        done.set()
        if status != 200:
            raise _failure(status, bytes(answer))
        if rows is not None and (found := _predictions(answer)) != rows:
            raise Refused(f"the model gave {found} answers to {rows} rows", status=500)
        return bytes(answer), rows


def scoring_scope(*headers: tuple[bytes, bytes]) -> Message:
    """Of a request to score, as ASGI describes it, that came over no connection."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/invocations",
        "raw_path": b"/invocations",
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": None,
        "server": None,
    }


def _predictions(answer: bytes | bytearray) -> int:
    try:
        return len(json.loads(answer)["predictions"])
    except (ValueError, TypeError, KeyError):
        return 0


def _failure(status: int, body: bytes) -> Refused:
    """MLflow's error, with code and message only."""
    try:
        content = json.loads(body)
        return Refused(str(content["message"]), status, str(content["error_code"]))
    except (ValueError, TypeError, KeyError):  # MLflow sends some in plain text
        return Refused(body.decode("utf-8", "replace"), status)


async def _refuse(send: Send, refused: Refused) -> None:
    body = json.dumps({"error_code": refused.code, "message": str(refused)}).encode()
    headers = []
    if refused.status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    if refused.status in (408, 503):
        headers.append((b"connection", b"close"))
    await _answer(send, refused.status, body, headers=headers)


async def _answer(
    send: Send,
    status: int,
    body: bytes,
    *,
    kind: str = JSON,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    values = (kind.encode(), str(len(body)).encode())
    headers = [*zip(_OF_THE_BODY, values, strict=True), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _load(uri: str) -> object:
    from mlflow.pyfunc import load_model

    try:
        return load_model(uri)
    except Exception as error:  # MLflow's, the network's, the model's
        problem = without_secrets(f"{type(error).__name__}: {error}")
        sys.exit(
            f"error[model-unreadable]: the model {without_secrets(uri)} cannot be loaded: "
            f"{problem}\n"
            "  hint: set MODEL_URI and MLFLOW_TRACKING_URI, or mount a folder with an MLflow model "
            "at /model"
        )


def _rows_of(model: Any) -> Rows | None:
    """How the model answers texts without a table; None of a model of before, or of others."""
    try:
        rows: Rows | None = getattr(model.unwrap_python_model(), "rows", None)
    except Exception:  # of another flavour
        return None
    return rows


def without_secrets(text: str) -> str:
    """Of an address that may have a secret the scheme alone: this program has no more to go by."""
    for name in _SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, "***")
    text = re.sub(r"://(?=\S*[@?#])\S*", "://...", text)
    return re.sub(r"(?<=\S)\?\S*=\S*", "?...", text)  # the path of a request


if __name__ == "__main__":
    is_healthy() if sys.argv[1:] == ["--is-healthy"] else main()
