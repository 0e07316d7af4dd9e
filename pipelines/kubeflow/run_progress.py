"""Watch a run until it ends, through short and long outages of the server."""

import time
from enum import IntEnum
from typing import Protocol

from decant.runtime.errors import UserError
from pipelines.kubeflow.api_errors import AccessDenied, NotFound, Unavailable
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.states import Run, read_run

POLL_SECONDS = 5.0
BACKOFF_SECONDS = (
    5.0,
    10.0,
    20.0,
    30.0,
)  # between attempts without an answer; then the last is repeated
OUTAGE_SECONDS = 600.0

EXIT_CODES = """\b
Exit codes:
  0  the run succeeded (without --wait: it was started)
  1  the run failed
  2  wrong usage, bad parameters or credentials; the server refused
  3  the run was canceled
  4  the run was skipped
  5  --timeout-seconds passed; the run continues
  6  the server gave no answer for 10 minutes; the run continues
130  interrupted by Ctrl-C; the run continues"""


class Outcome(IntEnum):
    """How the waiting ended; the value is the command's exit code."""

    SUCCEEDED = 0
    FAILED = 1
    CANCELED = 3
    SKIPPED = 4
    TIMED_OUT = 5
    SERVER_LOST = 6
    INTERRUPTED = 130


class Watcher(Protocol):
    """The display of a run that is watched."""

    def update(self, run: Run) -> None: ...

    def trouble(self, problem: str, seconds: float) -> None:
        """The server has not answered for so long."""


def follow_run(
    connection: Connection,
    run_id: str,
    watcher: Watcher,
    *,
    timeout_seconds: float | None = None,
) -> tuple[Outcome, Run | None]:
    """Wait for the run's end. Returns the outcome and the last known state of the run.

    Raises AccessDenied when the credentials expire and there are no newer ones, NotFound for an
    unknown run; the run itself is never changed.
    """
    begin = last_answer = time.monotonic()
    failures, run = 0, None
    while True:
        try:
            run = read_run(connection.runs.run_service_get_run(run_id))
        except Unavailable as error:
            quiet = time.monotonic() - last_answer
            if quiet >= OUTAGE_SECONDS:
                return Outcome.SERVER_LOST, run
            watcher.trouble(error.problem, quiet)
            pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
            failures += 1
        except NotFound:
            raise UserError(
                f"the run {run_id} does not exist (any more)",
                code="run-unknown",
                hint="decant list --runs",
            ) from None
        except AccessDenied as error:
            raise AccessDenied(
                f"{error.problem}; the run continues",
                code="cluster-access-denied",
                hint=f"{error.hint}; then: decant follow {run_id}",
            ) from None
        else:
            last_answer, failures, pause = time.monotonic(), 0, POLL_SECONDS
            watcher.update(run)
            if run.is_final:
                return Outcome[run.state], run
        if timeout_seconds is not None:
            left = begin + timeout_seconds - time.monotonic()
            if left <= 0:
                return Outcome.TIMED_OUT, run
            pause = min(pause, left)
        time.sleep(pause)
