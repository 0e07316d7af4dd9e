"""How much the server takes at once, and its figures for Prometheus.

No client can keep another one out: not with connections that send nothing or little (they are
closed in time, and before others are refused), nor with large bodies (small ones have room of their
own), nor by not reading its answer.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

RETRY_AFTER_SECONDS = 1
SMALL_BODY_BYTES = 64 << 10
BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_RAW = "HTTP/1.1 {}\r\ncontent-length: 0\r\nconnection: close\r\n{}\r\n"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Attributes:
    connections: open at once.
    bodies_bytes: of all requests that are being read or answered, together.
    read_seconds: in which a request has to arrive, and an answer to be taken.
    drain_seconds: from SIGTERM on in which new requests are still answered, while `/ready` says no:
        so long a cluster goes on sending some.
    """

    connections: int = 512
    bodies_bytes: int = 64 << 20
    read_seconds: float = 30.0
    drain_seconds: float = 5.0

    @classmethod
    def of_environment(cls) -> "Limits":
        """MAX_CONNECTIONS, MAX_BODIES_BYTES, READ_SECONDS, DRAIN_SECONDS; ends for a bad one."""
        return cls(
            connections=int(_number("MAX_CONNECTIONS", cls.connections, 1)),
            bodies_bytes=int(_number("MAX_BODIES_BYTES", cls.bodies_bytes, 1 << 10)),
            read_seconds=_number("READ_SECONDS", cls.read_seconds, 0.1),
            drain_seconds=_number("DRAIN_SECONDS", cls.drain_seconds, 0),
        )


def _number(name: str, default: float, least: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if not least <= value < float("inf"):
        sys.exit(f"error[variable-value]: {name} is '{text}', not a number of at least {least}")
    return value


class Bodies:
    """The bytes of all bodies in hand."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_hand = 0

    @contextmanager
    def one(self) -> Iterator["Body"]:
        """A body, until the end of the block."""
        body = Body(self)
        try:
            yield body
        finally:
            body.drop()

    def has_room(self, size: int, more: int) -> bool:
        """Whether a body of that size may grow; a quarter of the room is for small ones alone."""
        small = size + more <= SMALL_BODY_BYTES
        return self.in_hand + more <= (self.limit if small else self.limit * 3 // 4)


class Body:
    """What arrived of one body."""

    def __init__(self, all_bodies: Bodies) -> None:
        self._all = all_bodies
        self._size = 0
        self._content = bytearray()

    def add(self, part: bytes) -> bool:
        """Whether there was room for it."""
        if not self._all.has_room(self._size, len(part)):
            return False
        self._all.in_hand += len(part)
        self._size += len(part)
        self._content += part
        return True

    def whole(self) -> bytes:
        """The content, once; it stays in hand."""
        content, self._content = bytes(self._content), bytearray()
        return content

    def drop(self) -> None:
        self._all.in_hand -= self._size
        self._size, self._content = 0, bytearray()


class Connections:
    """The open connections; one without a request is closed for a newer one, the oldest first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.deadlines: dict[Any, asyncio.TimerHandle | None] = {}  # in the order of their opening
        self.closed: Counter[str] = Counter()

    def opened(self, connection: Any) -> None:
        self.deadlines[connection] = None
        if len(self.deadlines) > self.limits.connections:
            idle = next((one for one in self.deadlines if not is_busy(one)), connection)
            if idle is connection:
                retry = f"retry-after: {RETRY_AFTER_SECONDS}\r\n"
                self._close(connection, "refused", _RAW.format("503 Service Unavailable", retry))
                return
            self._close(idle, "idle")
        self._expect_request(connection)

    def heard(self, connection: Any) -> None:
        """After what arrived was read."""
        if is_busy(connection):
            self._expect_nothing(connection)
        elif self.deadlines.get(connection) is None:
            self._expect_request(connection)

    def lost(self, connection: Any) -> None:
        self._expect_nothing(connection)
        self.deadlines.pop(connection, None)

    def unread(self, connection: Any) -> asyncio.TimerHandle:
        """Cut the connection unless the timer is cancelled: its client does not read."""

        def cut() -> None:
            self.closed["unread"] += 1
            connection.transport.abort()

        return connection.loop.call_later(self.limits.read_seconds, cut)

    def _expect_request(self, connection: Any) -> None:
        def late() -> None:
            if connection in self.deadlines and not is_busy(connection):
                self._close(connection, "slow", _RAW.format("408 Request Timeout", ""))

        self._expect_nothing(connection)
        self.deadlines[connection] = connection.loop.call_later(self.limits.read_seconds, late)

    def _expect_nothing(self, connection: Any) -> None:
        if timer := self.deadlines.get(connection):
            timer.cancel()
            self.deadlines[connection] = None

    def _close(self, connection: Any, why: str, answer: str = "") -> None:
        self.closed[why] += 1
        self.lost(connection)
        if answer:
            connection.transport.write(answer.encode())
        connection.transport.close()


def is_busy(connection: Any) -> bool:
    """Whether a request's head has arrived and its answer has not ended."""
    return connection.cycle is not None and not connection.cycle.response_complete


class Figures:
    """Requests to score by status, rows and seconds, and what is in hand now."""

    def __init__(self, bodies: Bodies, connections: Connections) -> None:
        self.bodies, self.connections = bodies, connections
        self.statuses: Counter[int] = Counter()
        self.rows = 0
        self.seconds = 0.0
        self.within: Counter[float] = Counter()

    def add(self, status: int, rows: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.rows += rows
        self.seconds += seconds
        self.within.update(bound for bound in BUCKETS_SECONDS if seconds <= bound)

    def text(self, *, is_ready: bool) -> str:
        """As Prometheus reads it (text format 0.0.4)."""
        number = sum(self.statuses.values())
        closed = {
            why: self.connections.closed[why] for why in ("idle", "refused", "slow", "unread")
        }
        lines = [
            *_family("decant_requests_total", "counter", "requests to score"),
            *(f'decant_requests_total{{status="{it}"}} {n}' for it, n in self.statuses.items()),
            *_family("decant_rows_total", "counter", "rows that were answered"),
            f"decant_rows_total {self.rows}",
            *_family("decant_request_seconds", "histogram", "from the head to the answer"),
            *(
                f'decant_request_seconds_bucket{{le="{bound}"}} {self.within[bound]}'
                for bound in BUCKETS_SECONDS
            ),
            f'decant_request_seconds_bucket{{le="+Inf"}} {number}',
            f"decant_request_seconds_sum {self.seconds:.6f}",
            f"decant_request_seconds_count {number}",
            *_family("decant_bodies_bytes", "gauge", "bodies in hand, together"),
            f"decant_bodies_bytes {self.bodies.in_hand}",
            *_family("decant_connections", "gauge", "open connections"),
            f"decant_connections {len(self.connections.deadlines)}",
            *_family("decant_connections_closed_total", "counter", "closed by a limit"),
            *(f'decant_connections_closed_total{{why="{why}"}} {n}' for why, n in closed.items()),
            *_family("decant_ready", "gauge", "1 when /ready says so"),
            f"decant_ready {int(is_ready)}",
        ]
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, what: str) -> tuple[str, str]:
    return f"# HELP {name} {what}", f"# TYPE {name} {kind}"
