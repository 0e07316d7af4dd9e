"""Clients that ask a scoring server, each the next request as soon as it has its answer.

One thread drives them all. Such a closed loop never asks more than the server answers: latencies
are those of that many busy clients, not of a fixed rate of arrivals.
"""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import aiohttp
import numpy as np
from numpy.typing import NDArray

TIMEOUT_SECONDS = 30.0
_PAUSE_SECONDS = 0.05  # after a lost connection, or a dead server would be asked without end
_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What ends a level: whichever comes first. Requests under way are still awaited."""

    seconds: float
    requests: int
    timeout_seconds: float = TIMEOUT_SECONDS


@dataclass(frozen=True, kw_only=True)
class Level:
    """What one number of clients saw.

    Attributes:
        seconds: from the first request to the last answer.
        latencies_ms: of the right answers (answers,), from sending to the last byte.
        errors: what went wrong, how often.
        client_cpu_seconds: that this process spent; near `seconds` the clients were the limit.
        server_cpu_seconds, server_mib: the server's, and its memory at the end; None where it was
            not started here.
    """

    clients: int
    batch: int
    seconds: float
    latencies_ms: NDArray[np.float64]
    errors: Counter[str]
    client_cpu_seconds: float
    server_cpu_seconds: float | None = None
    server_mib: float | None = None

    @property
    def requests(self) -> int:
        return len(self.latencies_ms) + self.errors.total()


def request_bodies(texts: Sequence[str], batch: int) -> list[bytes]:
    """Every text in order, in requests of `batch` texts; the last is filled from the start."""
    bodies = []
    for start in range(0, len(texts), batch):
        rows = [[texts[(start + offset) % len(texts)]] for offset in range(batch)]
        bodies.append(json.dumps({"dataframe_split": {"columns": ["text"], "data": rows}}).encode())
    return bodies


def drive(url: str, bodies: Sequence[bytes], *, batch: int, clients: int, limits: Limits) -> Level:
    """Ask until a limit is reached.

    Args:
        url: that takes the bodies.
        batch: texts in each body; an answer with another number of predictions is an error.
    """
    return asyncio.run(_drive(url, bodies, batch, clients, limits))


async def _drive(
    url: str, bodies: Sequence[bytes], batch: int, clients: int, limits: Limits
) -> Level:
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    cpu, start = time.process_time(), time.perf_counter()
    tickets = itertools.takewhile(
        lambda number: number < limits.requests and time.perf_counter() - start < limits.seconds,
        itertools.count(),
    )
    timeout = aiohttp.ClientTimeout(total=limits.timeout_seconds)
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=_HEADERS, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        seen = (latencies, errors)
        await asyncio.gather(
            *(_client(session, url, bodies, batch, tickets, *seen) for _ in range(clients))
        )
        seconds = time.perf_counter() - start
    return Level(
        clients=clients,
        batch=batch,
        seconds=seconds,
        latencies_ms=np.array(latencies),
        errors=errors,
        client_cpu_seconds=time.process_time() - cpu,
    )


async def _client(
    session: aiohttp.ClientSession,
    url: str,
    bodies: Sequence[bytes],
    batch: int,
    tickets: Iterator[int],
    latencies: list[float],
    errors: Counter[str],
) -> None:
    for ticket in tickets:
        start = time.perf_counter()
        try:
            async with session.post(
                url, data=bodies[ticket % len(bodies)], allow_redirects=False
            ) as answer:
                content = await answer.read()
                status = answer.status
        except TimeoutError:
            errors["no answer in time"] += 1
        except (aiohttp.ClientError, OSError) as error:
            errors[f"connection: {type(error).__name__}"] += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            took = time.perf_counter() - start
            if problem := _problem(status, content, batch):
                errors[problem] += 1
            else:
                latencies.append(took * 1000)


def _problem(status: int, content: bytes, batch: int) -> str:
    if status != 200:
        return f"HTTP {status}"
    try:
        predictions = json.loads(content)["predictions"]
        found = [(str(one["label"]), float(one["score"])) for one in predictions]
    except (ValueError, KeyError, TypeError):
        return "an answer without predictions"
    return "" if len(found) == batch else "an answer with another number of predictions"
