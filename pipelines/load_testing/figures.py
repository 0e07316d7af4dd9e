"""The figures of a level: throughput, latency percentiles, errors, whose processor time."""

from typing import Any

import numpy as np

from pipelines.load_testing.clients import Level

PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}
BUSY_SHARE = 0.8  # of one core: the clients, which run in one thread, were then the limit


def figures(level: Level) -> dict[str, Any]:
    """JSON figures. Throughput counts right answers alone; latency is None without any."""
    answers = len(level.latencies_ms)
    latency: dict[str, float] | None = None
    if answers:
        values = np.percentile(level.latencies_ms, list(PERCENTILES.values()))
        latency = {"mean": float(level.latencies_ms.mean())}
        latency |= dict(zip(PERCENTILES, map(float, values), strict=True))
        latency["max"] = float(level.latencies_ms.max())
    return {
        "clients": level.clients,
        "batch": level.batch,
        "seconds": level.seconds,
        "requests": level.requests,
        "answers": answers,
        "errors": dict(level.errors.most_common()),
        "requests_per_second": answers / level.seconds,
        "texts_per_second": answers * level.batch / level.seconds,
        "latency_ms": latency,
        "client_cpu_share": level.client_cpu_seconds / level.seconds,
        "server_cpu_share": _share(level.server_cpu_seconds, level.seconds),
        "server_mib": level.server_mib,
    }


def _share(cpu_seconds: float | None, seconds: float) -> float | None:
    return None if cpu_seconds is None else cpu_seconds / seconds
