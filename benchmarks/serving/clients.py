"""Clients that ask a server over connections that stay open, each waiting for its answer.

One process without threads: it writes to a socket that is free and reads from those that have
something, so that it takes little of the cores that it shares with the server.
"""

import gc
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

_LENGTH = b"content-length:"
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """What clients saw.

    Attributes:
        seconds: from the first request to the last answer.
        latencies: of each request, in seconds, from its first byte sent to its answer's last byte.
    """

    seconds: float
    latencies: Sequence[float]


def load(port: int, requests: Sequence[bytes], *, clients: int, seconds: float) -> Load:
    """Ask for so long, on 127.0.0.1. Raises ConnectionError for anything but an answer with 200.

    Args:
        requests: whole ones, head and body; all clients take from them in turn, again and again.
    """
    upcoming = cycle(requests)
    gc.freeze()  # of this process's libraries: a collection would show as a server's tail
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        waiting = [_Client(port) for _ in range(clients)]
        for client in waiting:
            selector.register(client.connection, selectors.EVENT_READ, client)
        began = time.perf_counter()
        for client in waiting:
            client.ask(next(upcoming))
        while waiting:
            ready = selector.select(_PATIENCE_SECONDS)
            if not ready:
                raise ConnectionError(f"no answer within {_PATIENCE_SECONDS:g} seconds")
            for key, _ in ready:
                client = key.data
                if not client.has_answer():
                    continue
                now = time.perf_counter()
                latencies.append(now - client.asked)
                if now - began < seconds:
                    client.ask(next(upcoming))
                else:
                    selector.unregister(client.connection)
                    client.connection.close()
                    waiting.remove(client)
    return Load(seconds=now - began, latencies=latencies)


class _Client:
    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked = 0.0
        self._answer = b""

    def ask(self, request: bytes) -> None:
        self._answer = b""
        self.asked = time.perf_counter()
        self.connection.sendall(request)

    def has_answer(self) -> bool:
        """Read what is there; whether the answer is whole by it."""
        part = self.connection.recv(1 << 16)
        self._answer += part
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not part or (found and b" 200 " not in head[:16]):
            raise ConnectionError(f"the server answered {self._answer[:500]!r}")
        if not found:
            return False
        fields = head.lower()
        at = fields.index(_LENGTH) + len(_LENGTH)
        return len(body) >= int(fields[at:].partition(b"\r")[0])
