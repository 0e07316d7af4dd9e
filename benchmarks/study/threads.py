"""How many threads each process of a study has, which is part of what its steps compute."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache

_ASK = """
import json
from decant.runtime.threads import BLAS, TORCH, threads_here
print(json.dumps(threads_here((BLAS, TORCH))))
"""


def environment(threads: int) -> dict[str, str]:
    """The variables by which a process gets so many."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "RAYON_NUM_THREADS": str(threads),  # of the tokenizers
    }


@cache
def threads_of_a_process(threads: int) -> Mapping[str, int]:
    """By library, as `threads_here` finds them in a process that was given so many.

    A process is asked, since torch takes no more than there are cores. It takes seconds, once.
    """
    asked = subprocess.run(
        [sys.executable, "-c", _ASK],
        env=os.environ | environment(threads),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, int] = json.loads(asked.stdout)
    return found


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
