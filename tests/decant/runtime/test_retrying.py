"""What is tried again, how often, with which pauses, and what the log has of it."""

import socket
import ssl
from collections.abc import Callable

import pytest

from decant.runtime import retrying
from decant.runtime.log_lines import logged_by
from decant.runtime.retrying import limit_seconds, passes_by_itself, retried
from tests.errors import raises


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    monkeypatch.setenv("DECANT_RETRY_SECONDS", "60")
    return found


def failing(times: int, error: BaseException) -> Callable[[], int]:
    """Raises the error so many times, then counts the calls."""
    calls: list[int] = []

    def action() -> int:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return len(calls)

    return action


def test_an_error_that_passes_is_tried_again_with_growing_pauses_and_lines(
    pauses: list[float],
) -> None:
    lines: list[str] = []
    with logged_by(lines.append):
        error = ConnectionResetError("https://me:hunter2@host went away")
        assert retried("fetching a.csv", failing(3, error)) == 4
    assert 1 <= pauses[0] <= 2 <= pauses[1] <= 3 <= pauses[2] - 1
    assert len(lines) == 3
    assert lines[0].startswith("fetching a.csv failed (ConnectionResetError: ")
    assert "attempt 2 follows in" in lines[0] and "attempt 4 follows in" in lines[2]
    assert "hunter2" not in "".join(lines)


def test_the_pauses_end_at_the_limit_and_the_error_is_the_last_one(pauses: list[float]) -> None:
    error = ConnectionResetError("gone")
    with pytest.raises(ConnectionResetError, match="gone"):
        retried("fetching a.csv", failing(1000, error))
    assert len(pauses) == 5
    assert 31 <= sum(pauses) <= 60


def test_a_mistake_is_not_tried_again(pauses: list[float]) -> None:
    with pytest.raises(PermissionError):
        retried("fetching a.csv", failing(1, PermissionError("no")))
    assert pauses == []


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interruption_is_not_an_error_that_passes(
    pauses: list[float], end: BaseException
) -> None:
    """Also while a broken connection is being handled."""

    def interrupted() -> None:
        try:
            raise ConnectionResetError
        except ConnectionResetError:
            raise end  # noqa: B904  it has no cause

    with pytest.raises(type(end)):
        retried("fetching a.csv", interrupted)
    assert pauses == []


def test_without_a_log_the_line_is_on_standard_error(
    pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    retried("fetching a.csv", failing(1, TimeoutError()))
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("warning: fetching a.csv failed (TimeoutError); attempt 2")


def test_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("DECANT_RETRY_SECONDS", raising=False)
    assert limit_seconds() == retrying.HERE_SECONDS
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert limit_seconds() == retrying.IN_A_POD_SECONDS
    monkeypatch.setenv("DECANT_RETRY_SECONDS", "7.5")
    assert limit_seconds() == 7.5
    for bad in ("soon", "-1", "nan", "inf"):
        monkeypatch.setenv("DECANT_RETRY_SECONDS", bad)
        with raises("variable-value", "DECANT_RETRY_SECONDS", f"'{bad}'"):
            limit_seconds()


class HttpError(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class ClientConnectionError(OSError):
    """Stands for aiohttp's of this name."""


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (HttpError(503), True),
        (HttpError(429), True),
        (HttpError(404), False),
        (HttpError(403), False),
        (caused(FileNotFoundError("a.csv"), HttpError(503)), True),
        (caused(FileNotFoundError("a.csv"), HttpError(404)), False),
        (FileNotFoundError("a.csv"), False),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), True),
        (socket.gaierror(socket.EAI_NONAME, "not known"), False),
        (caused(ClientConnectionError(), socket.gaierror(socket.EAI_NONAME, "no")), False),
        (caused(ClientConnectionError(), ConnectionRefusedError()), True),
        (caused(ClientConnectionError(), ssl.SSLCertVerificationError("self-signed")), False),
        (ssl.SSLEOFError("ended early"), True),
        (TimeoutError(), True),
        (ValueError("a bug"), False),
    ],
)
def test_what_passes(error: BaseException, passes: bool) -> None:
    assert passes_by_itself(error) is passes
