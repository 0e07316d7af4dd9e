"""The application: what it answers itself, from the model, and what MLflow answers."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from serve_http import OF_THE_BODY, App, Message, Receive, Send, answer, refuse, scoring_scope
from serve_limits import SMALL_BODY_BYTES, Bodies, Body, Connections, Figures, Limits
from serve_requests import (
    EXAMPLE,
    JSON,
    MAX_BODY_BYTES,
    Checked,
    Refused,
    as_table,
    read_request,
)
from serve_v2 import ServedModel, refused_v2

# Of a body that is refused so much is read without being kept: a client that is still sending
# would meet a closed connection in place of the answer.
MAX_DISCARDED_BYTES = 16 * MAX_BODY_BYTES
GONE = 499  # as nginx counts a client that went away

Row = dict[str, Any]
Rows = Callable[[list[str]], list[Row]]
# Of a body and its content type, the answer and how many rows it has; None where MLflow knows.
Scored = Callable[[bytes, str], Awaitable[tuple[bytes, int | None]]]


class Requests:
    """Refuses what the model cannot answer, or the server not hold; MLflow's app does the rest.

    Args:
        rows: gives texts to the model itself, which takes a fourth of the time of the way through
            MLflow's tables. It answers what holds texts alone; None leaves that to MLflow too.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        rows: Rows | None = None,
        model: ServedModel | None = None,
    ) -> None:
        self.app, self.limits, self.rows = app, limits, rows
        self.model = model or ServedModel("model")
        self.bodies, self.connections = Bodies(limits.bodies_bytes), Connections(limits)
        self.figures = Figures(self.bodies, self.connections)
        self.has_answered = False
        self.is_ending = False

    @property
    def is_ready(self) -> bool:
        return self.has_answered and not self.is_ending

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        method, path = scope.get("method", ""), scope.get("path", "")
        if (method, path) == ("POST", "/invocations"):

            async def scored(body: bytes, kind: str) -> tuple[bytes, int | None]:
                return await self._scored(scope, body, kind)

            await self._score(scope, receive, send, scored, refuse)
        elif path == "/v2" or path.startswith("/v2/"):
            await self._speak_v2(scope, receive, send)
        elif (method, path) == ("GET", "/ready"):
            state = "ending" if self.is_ending else "ready" if self.has_answered else "starting"
            status = 200 if self.is_ready else 503
            await answer(send, status, json.dumps({"status": state}).encode())
        elif (method, path) == ("GET", "/metrics"):
            text = self.figures.text(is_ready=self.is_ready).encode()
            await answer(send, 200, text, kind="text/plain; version=0.0.4; charset=utf-8")
        else:
            await self.app(scope, receive, send)

    async def try_out(self) -> None:
        """Have the model answer a text; logs why it does not, and is then never ready."""
        try:
            found, _ = await self._scored(scoring_scope(), EXAMPLE.encode(), JSON)
            self.model.learn(json.loads(found))
        except Refused as refused:
            print(f"error[model-unreadable]: no answer to a text: {refused}", file=sys.stderr)
        else:
            self.has_answered = True

    async def _speak_v2(self, scope: Message, receive: Receive, send: Send) -> None:
        try:
            route = self.model.asked_for(scope["method"], scope["path"])
            if route in ("model", "infer"):
                if not self.has_answered:
                    raise Refused("the model has not answered yet", status=503)
                self.model.check_outputs()
        except Refused as refused:
            await refused_v2(send, refused)
            return
        if route == "infer":
            await self._score(scope, receive, send, self._inferred, refused_v2)
            return
        status = 503 if route.endswith("ready") and not self.is_ready else 200
        content = {
            "server": {"name": "decant", "version": _version(), "extensions": []},
            "live": {"live": True},
            "ready": {"ready": self.is_ready},
            "model": self.model.metadata(),
            "model ready": {"name": self.model.name, "ready": self.is_ready},
        }[route]
        await answer(send, status, json.dumps(content).encode())

    async def _inferred(self, body: bytes, kind: str) -> tuple[bytes, int]:
        """An answer of the Open Inference Protocol, of the same rows as to /invocations."""
        is_large = len(body) > SMALL_BODY_BYTES
        request = await _run(is_large, self.model.read, body, kind)
        rows = await _run(is_large, self._own_rows, request.texts)
        if rows is None:
            table = Checked(as_table(request.texts), JSON, len(request.texts))
            found, _ = await self._through_mlflow(scoring_scope(), table)
            rows = json.loads(found)["predictions"]
        return await _run(is_large, self.model.answer, request, rows), len(rows)

    async def _score(
        self,
        scope: Message,
        receive: Receive,
        send: Send,
        scored: Scored,
        refuse: Callable[[Send, Refused], Awaitable[None]],
    ) -> None:
        began, rows, status = time.perf_counter(), 0, GONE
        kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
        try:
            with self.bodies.one() as body:
                await self._read(receive, body)
                content, found = await scored(body.whole(), kind)
            rows, status = found or 0, 200
            await answer(send, status, content)
        except Refused as refused:
            status = refused.status
            await refuse(send, refused)
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
        is_large = len(body) > SMALL_BODY_BYTES
        request = await _run(is_large, read_request, body, kind)
        rows = None
        if request.texts is not None:
            rows = await _run(is_large, self._own_rows, request.texts)
        if rows is None:
            return await self._through_mlflow(scope, request)
        return await _run(is_large, _as_predictions, rows), request.rows

    def _own_rows(self, texts: list[str]) -> list[Row] | None:
        """The cells of MLflow's answer, from the model itself; None where MLflow is to answer."""
        if self.rows is None:
            return None
        try:
            return self.rows(texts)
        except Exception:  # whatever it is, MLflow says it in its own words
            return None

    async def _through_mlflow(self, scope: Message, request: Checked) -> tuple[bytes, int | None]:
        body, kind, rows, _ = request
        others = [one for one in scope["headers"] if one[0] not in OF_THE_BODY]
        values = (kind.encode("latin-1"), str(len(body)).encode())
        scope = {**scope, "headers": [*others, *zip(OF_THE_BODY, values, strict=True)]}
        unread = [{"type": "http.request", "body": body, "more_body": False}]
        done = asyncio.Event()
        status, content = 500, bytearray()

        async def receive_again() -> Message:
            if not unread:
                await done.wait()
                return {"type": "http.disconnect"}
            return unread.pop()

        async def keep(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            content.extend(message.get("body", b""))

        await self.app(scope, receive_again, keep)
        done.set()
        if status != 200:
            raise _failure(status, bytes(content))
        if rows is not None and (found := _predictions(content)) != rows:
            raise Refused(f"the model gave {found} answers to {rows} rows", status=500)
        return bytes(content), rows


async def _run(is_large: bool, work: Callable[..., Any], *arguments: Any) -> Any:
    """Large work in a thread: others are not to wait for it."""
    return await asyncio.to_thread(work, *arguments) if is_large else work(*arguments)


def _as_predictions(rows: list[Row]) -> bytes:
    """The same bytes as MLflow's."""
    return json.dumps({"predictions": rows}).encode()


def _version() -> str:
    return os.environ.get("DECANT_VERSION") or "unknown"


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
