"""The threads of a step: how they wait, and their numbers, which decide the last bits of a result.

A sum that several threads share is added up in another order, and so is rounded elsewhere.
"""

import os
from collections.abc import Mapping, Sequence

TORCH = "torch"  # PyTorch's operators
BLAS = "blas"  # NumPy's and SciPy's linear algebra


def wait_without_spinning() -> None:
    """Let PyTorch's threads sleep while they wait; call it before PyTorch is loaded.

    A thread that spins takes a core, and where other programs use the cores too, it takes the one
    that it waits for. An environment that says otherwise is left as it is.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def threads_here(libraries: Sequence[str]) -> dict[str, int]:
    """How many each of the libraries computes with in this process; it loads torch where asked.

    The libraries are asked, since a variable such as OMP_NUM_THREADS need not be what they take: it
    may be unset, or above the number of cores. One that has no threads of its own, such as Apple's
    linear algebra, is left out.
    """
    ask = {TORCH: _torch, BLAS: _blas}
    found = {library: ask[library]() for library in sorted(libraries)}
    return {library: number for library, number in found.items() if number}


def in_words(threads: Mapping[str, int]) -> str:
    """Such as "blas=4 torch=2"."""
    return " ".join(f"{library}={number}" for library, number in sorted(threads.items()))


def _torch() -> int:
    import torch  # not where a step does without

    return torch.get_num_threads()


def _blas() -> int:
    import numpy  # noqa: F401  (loads it)
    from threadpoolctl import threadpool_info

    pools = (pool for pool in threadpool_info() if pool["user_api"] == "blas")
    return max((int(pool["num_threads"]) for pool in pools), default=0)
