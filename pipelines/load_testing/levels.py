"""Several levels on one server, one after the other."""

import dataclasses
from collections.abc import Callable, Sequence

from components.shared.settings import settings
from pipelines.load_testing.clients import Level, Limits, drive, request_bodies
from pipelines.load_testing.server import Server


@settings
class Plan:
    """How a server is asked.

    Attributes:
        clients: of each level, in order.
        batch: texts per request.
        seconds, requests: what ends a level, whichever comes first.
        warmup_seconds: of asking before each level that do not count.
    """

    clients: tuple[int, ...]
    batch: int
    seconds: float
    requests: int
    warmup_seconds: float


def run_levels(
    url: str,
    texts: Sequence[str],
    plan: Plan,
    *,
    server: Server | None,
    on_level: Callable[[int], None],
) -> list[Level]:
    """A level for each number of clients.

    Args:
        url: that takes the texts.
        server: the same, if it was started here.
        on_level: called with the number of clients before a level.
    """
    bodies = request_bodies(texts, plan.batch)
    limits = Limits(seconds=plan.seconds, requests=plan.requests)
    warmup = dataclasses.replace(limits, seconds=plan.warmup_seconds)
    levels = []
    for clients in plan.clients:
        on_level(clients)
        if plan.warmup_seconds:
            drive(url, bodies, batch=plan.batch, clients=clients, limits=warmup)
        before = server.cpu_seconds() if server else 0.0
        level = drive(url, bodies, batch=plan.batch, clients=clients, limits=limits)
        if server:
            spent, memory = server.cpu_seconds() - before, server.resident_mib()
            level = dataclasses.replace(level, server_cpu_seconds=spent, server_mib=memory)
        levels.append(level)
    return levels
