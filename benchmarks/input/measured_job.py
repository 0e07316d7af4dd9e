"""A job in a process of its own: its rows, its seconds, and its peak memory."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.input.jobs import JOBS
from decant.runtime.ending import exit_on_error
from decant.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a job took.

    Attributes:
        seconds: without the start of Python and the import of libraries.
        peak_bytes: the most physical memory that the process held, libraries included.
    """

    rows: int
    seconds: float
    peak_bytes: int


def measure(job: str, arguments: Mapping[str, Any]) -> Measured:
    """Run a job of jobs.py, quietly.

    Raises UserError with its message when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="decant-input-") as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", __name__, str(result), job, json.dumps(arguments)]
        environment = os.environ | {"DECANT_TRACKING": "off", "TOKENIZERS_PARALLELISM": "true"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(
                f"the job '{job}' failed with exit code {done.returncode}:\n{done.stderr.strip()}",
                code="benchmark-failed",
            )
        return Measured(**json.loads(result.read_text("utf-8")))


def main(result: str, job: str, arguments: str) -> None:
    """In the process of the job."""
    prepared = JOBS[job](**json.loads(arguments))
    clock = time.perf_counter()
    rows, seconds = prepared()
    if seconds is None:
        seconds = time.perf_counter() - clock
    measured = Measured(rows=rows, seconds=seconds, peak_bytes=_peak_bytes())
    Path(result).write_text(json.dumps(asdict(measured)), "utf-8")


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count the parent too, from before this program began
        for line in status.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
