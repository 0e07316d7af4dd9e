"""The serve image's program as a process on loopback, for as long as a block lasts."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import psutil

from decant.runtime.identity import PROJECT
from decant.runtime.secrets import without_secrets
from decant.tracking.mlflow_store import tracking_uri

PROGRAM = PROJECT / "docker" / "serve.py"
MLFLOW_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that answers."""

    url: str
    process: psutil.Process
    log: IO[bytes]

    def logged(self) -> str:
        """What it has written to its outputs so far."""
        return os.pread(self.log.fileno(), 1 << 30, 0).decode("utf-8", "replace")

    def resident_mib(self) -> float:
        return self.process.memory_info().rss / _MIB

    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def serving(model_uri: str) -> Iterator[Server]:
    """Raises RuntimeError, with the program's error, when it does not answer."""
    if not PROGRAM.is_file():
        raise FileNotFoundError(f"{PROGRAM} is missing")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"MODEL_URI": model_uri, "HOST": "127.0.0.1", "PORT": str(port), "DRAIN_SECONDS": "0"}
    environment = {"MLFLOW_TRACKING_URI": tracking_uri(), **MLFLOW_QUIET, **os.environ, **given}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM)], stdout=log, stderr=log, env=environment
        )
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(f"{url}/ready"):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(_reason(log.read().decode("utf-8", "replace")))
                time.sleep(_POLL_SECONDS)
            yield Server(url=url, process=psutil.Process(process.pid), log=log)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _reason(log: str) -> str:
    found = re.search(r"^error\S*: (.*(?:\n(?!  hint).*)*)", log, re.MULTILINE)
    lines = log.strip().splitlines() or ["it logged nothing"]
    return f"the server did not start: {without_secrets(found[1] if found else lines[-1])}"
