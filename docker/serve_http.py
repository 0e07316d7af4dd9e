"""Requests and answers as ASGI has them."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from serve_limits import RETRY_AFTER_SECONDS
from serve_requests import JSON, Refused

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
OF_THE_BODY = (b"content-type", b"content-length")


async def refuse(send: Send, refused: Refused, content: dict[str, Any] | None = None) -> None:
    """Send a refusal, as MLflow words it where `content` is None."""
    content = content or {"error_code": refused.code, "message": str(refused)}
    body = json.dumps(content).encode()
    headers = []
    if refused.status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    if refused.status in (408, 503):
        headers.append((b"connection", b"close"))
    await answer(send, refused.status, body, headers=headers)


async def answer(
    send: Send,
    status: int,
    body: bytes,
    *,
    kind: str = JSON,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    values = (kind.encode(), str(len(body)).encode())
    headers = [*zip(OF_THE_BODY, values, strict=True), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


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
