"""uvicorn's HTTP over connections that are watched."""

import asyncio
import re
from typing import Any

from serve_limits import Connections, is_busy
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 << 10  # more, in what arrives after the first part, ends the connection
_GO_ON = b"HTTP/1.1 100 "
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


def protocol_of(connections: Connections) -> type[asyncio.Protocol]:
    """The protocol of a server whose connections these are."""
    return type("WatchedHere", (Watched,), {"watch": connections})


class Watched(HttpToolsProtocol):
    """A connection that is watched. llhttp parses what it gets.

    That is stricter than h11 about lengths, line ends and versions; what h11 also refused, and a
    bound on what is neither body nor answered, stand here.
    """

    watch: Connections
    unread: asyncio.TimerHandle | None = None
    is_between = True  # the next byte begins a request
    has_advanced = False  # by what arrived last
    idle_bytes = 0  # since it did: of a head, of trailers, of line ends

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.watch.opened(self)

    def data_received(self, data: bytes) -> None:
        if self not in self.watch.deadlines:  # it is being closed
            return
        self.has_advanced = False
        super().data_received(_without_upgrade(data) if self.is_between else data)
        self.idle_bytes = 0 if self.has_advanced else self.idle_bytes + len(data)
        if self.idle_bytes > MAX_HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")
        self.watch.heard(self)

    def on_message_begin(self) -> None:
        self.has_advanced, self.is_between = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.has_advanced = True
        _check_head(self.headers, self.parser.get_http_version())
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # whose answers are heads alone
            self.cycle.transport = _Joining(self.transport)

    def on_body(self, body: bytes) -> None:
        self.has_advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.has_advanced = self.is_between = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if is_busy(self) and not self.cycle.more_body:  # the request before it was sound
            self.cycle.keep_alive = False
        else:
            super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.watch.lost(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unread = self.watch.unread(self)

    def resume_writing(self) -> None:
        self._stop_waiting()
        super().resume_writing()

    def _stop_waiting(self) -> None:
        if self.unread:
            self.unread.cancel()
            self.unread = None


class _Joining:
    """The transport of one answer: its head goes out with what follows, as one packet."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None  # b"" once it is out

    def write(self, data: bytes) -> None:
        if self._head is None and not data.startswith(_GO_ON):
            self._head = data
        else:
            self._transport.write((self._head or b"") + data)
            self._head = b"" if self._head is not None else None

    def close(self) -> None:
        if self._head:
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


def _without_upgrade(data: bytes) -> bytes:
    """Without the wish for another protocol, which may be ignored: llhttp would skip the body.

    Java's client has it in every first request.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"", head) + end + rest if end and _UPGRADE.search(head) else data


def _check_head(headers: list[tuple[bytes, bytes]], version: str) -> None:
    """Raises ValueError, upon which the parser refuses the request."""
    hosts = sum(name == b"host" for name, _ in headers)
    encodings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if version not in ("1.0", "1.1") or hosts > 1 or (version == "1.1" and not hosts):
        raise ValueError("no HTTP/1 with one host")
    if encodings not in ([], [b"chunked"]):
        raise ValueError("no transfer encoding that is known here")
