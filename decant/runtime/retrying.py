"""Try again what passes by itself: a server that restarts, a connection that breaks.

A cluster may not do it: Kubeflow Pipelines retries lost pods only, not a step that ends with an
error. A mistake of the user does not pass, and is not tried again.
"""

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from decant.runtime.errors import UserError
from decant.runtime.log_lines import log_line
from decant.runtime.secrets import without_secrets

T = TypeVar("T")

# How long to wait in all, in seconds. It bounds the pauses, not the attempts: a download of an hour
# that breaks at its end is tried again.
VARIABLE = "DECANT_RETRY_SECONDS"
HERE_SECONDS = 60.0
IN_A_POD_SECONDS = (
    300.0  # nobody is waiting at a terminal, and a server that restarts takes minutes
)

# Pauses double from the first to the longest, each with up to the first one of jitter.
FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0

# HTTP: time-out, too early, too many requests, and the server's own troubles.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
# By name, since their libraries (aiohttp, httpx, requests, urllib3, botocore, fsspec) are not
# imported for it.
_BROKEN_CONNECTIONS = frozenset(
    {
        "ChunkedEncodingError",
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectionError",
        "FSTimeoutError",
        "HTTPClientError",
        "IncompleteRead",
        "PayloadEncodingError",
        "ProtocolError",
        "Timeout",
        "TransportError",
    }
)
_LASTING = frozenset({"CertificateError", "OfflineModeIsEnabled", "SSLError"})


def retried(
    what: str,
    action: Callable[[], T],
    *,
    passes: Callable[[BaseException], bool] | None = None,
    seconds: float | None = None,
    total_seconds: float | None = None,
    first_seconds: float | None = None,
) -> T:
    """The action's result; after an error that passes by itself the action is repeated.

    Pauses grow, and each is a line in the log. The last error is raised as it is.

    Args:
        what: is being done, for the log: "fetching s3://bucket/a.csv".
        passes: which errors pass; `passes_by_itself` without it.
        seconds: of all pauses together; `limit_seconds` without it.
        total_seconds: of all attempts and pauses, after which none follows; no limit without it.
        first_seconds: the first pause; FIRST_SECONDS without it.

    Raises UserError for a limit in DECANT_RETRY_SECONDS that is not a number.
    """
    most = limit_seconds() if seconds is None else seconds
    first = FIRST_SECONDS if first_seconds is None else first_seconds

    def may_pass(error: BaseException) -> bool:  # never Ctrl-C or SIGTERM in the middle of it
        return isinstance(error, Exception) and (passes or passes_by_itself)(error)

    def is_over(state: RetryCallState) -> bool:
        elapsed = (state.seconds_since_start or 0.0) + state.upcoming_sleep
        is_late = total_seconds is not None and elapsed > total_seconds
        return is_late or state.idle_for + state.upcoming_sleep > most

    def log(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log_line(
            f"{what} failed ({reason(error)}); attempt {state.attempt_number + 1} follows in "
            f"{state.upcoming_sleep:.0f} s"
        )

    retrying = Retrying(
        retry=retry_if_exception(may_pass),
        wait=wait_exponential_jitter(first, LONGEST_SECONDS, jitter=first),
        stop=is_over,
        before_sleep=log,
        reraise=True,
    )
    return retrying(action)


def limit_seconds() -> float:
    """DECANT_RETRY_SECONDS, else a minute, in a pod five; 0 tries nothing again."""
    given = os.environ.get(VARIABLE)
    if not given:
        return IN_A_POD_SECONDS if "KUBERNETES_SERVICE_HOST" in os.environ else HERE_SECONDS
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise UserError(
            f"{VARIABLE} is '{given}', which is not a number of seconds",
            code="variable-value",
            hint="set it to 0 or more, or unset it",
        )
    return seconds


def passes_by_itself(error: BaseException) -> bool:
    """Whether a later attempt may succeed, by the error and by what caused it.

    An address that is not known, a refused login, a missing file and an untrusted certificate last.
    """
    causes = list(_causes(error))
    if any(_names(one) & _LASTING and not isinstance(one, ssl.SSLEOFError) for one in causes):
        return False
    verdicts = (_verdict(one) for one in reversed(causes))  # the first cause knows best
    return next((verdict for verdict in verdicts if verdict is not None), False)


def reason(error: BaseException | None) -> str:
    """What caused the error first, in one line without secrets: it says most."""
    if error is None:
        return "unknown"
    *_, first = _causes(error)
    text = str(first).strip().partition("\n")[0]
    return without_secrets(f"{type(first).__name__}: {text}").rstrip(": ")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, its cause, the cause's cause, and so on."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _verdict(error: BaseException) -> bool | None:
    """None where this error alone does not decide."""
    if _names(error) & _BROKEN_CONNECTIONS:
        return True
    if (status := _http_status(error)) is not None:
        return status in PASSING_STATUSES
    if isinstance(error, socket.gaierror):  # name not known, or the name server does not answer
        return error.errno == socket.EAI_AGAIN
    if isinstance(error, TimeoutError | http.client.HTTPException | ssl.SSLEOFError):
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return True
    return None


def _http_status(error: BaseException) -> int | None:
    """Of the answer that the error is about, as the clients of HTTP and of stores keep it."""
    response = getattr(error, "response", None)
    found = [getattr(error, name, None) for name in ("status", "status_code", "code")]
    found.append(getattr(response, "status_code", None))
    if isinstance(response, dict):  # botocore
        found.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    return next((one for one in found if isinstance(one, int) and 400 <= one < 600), None)


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}
