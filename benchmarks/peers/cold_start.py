"""From the start of a process to an entry's first answer, and the memory that it then has.

The process does what a small program would: Python, the entry's imports, its files, one text.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers.entries import ENTRIES
from benchmarks.study.threads import environment
from decant.runtime.ending import exit_on_error
from decant.runtime.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """Medians over the starts.

    Attributes:
        pss_bytes: physical memory, of pages that processes share its part; None where the system
            does not say.
        rss_bytes: physical memory, shared pages in full.
    """

    seconds: float
    pss_bytes: int | None
    rss_bytes: int


def cold_start(name: str, folder: Path, text: str, *, starts: int) -> ColdStart:
    """On one thread; the files were read before, so that no disk is measured.

    Raises UserError where the process fails.
    """
    found = [_start(name, folder, text) for _ in range(starts)]
    return ColdStart(
        seconds=round(_median([one[0] for one in found]), 3),
        pss_bytes=int(_median(pss)) if (pss := [one[1] for one in found if one[1]]) else None,
        rss_bytes=int(_median([one[2] for one in found])),
    )


def _start(name: str, folder: Path, text: str) -> tuple[float, int | None, int]:
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-m", __name__, name, str(folder), text],
        env=os.environ | environment(1) | {"TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise failed(name, done)
    answered, pss, rss = json.loads(done.stdout.splitlines()[-1])
    return answered - began, pss, rss


def failed(name: str, done: "subprocess.CompletedProcess[str]") -> UserError:
    """What a process of the benchmark said before it failed."""
    return UserError(
        f"measuring '{name}' failed with exit code {done.returncode}:\n{done.stderr.strip()}",
        code="benchmark-failed",
    )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def main(name: str, folder: str, text: str) -> None:
    """In the process of the entry."""
    ENTRIES[name].load().open(Path(folder), threads=1)([text])
    answered = time.time()
    import psutil  # not the entry's

    memory = psutil.Process().memory_full_info()
    print(json.dumps([answered, getattr(memory, "pss", None), memory.rss]))


if __name__ == "__main__":
    with exit_on_error():
        main(*sys.argv[1:])
