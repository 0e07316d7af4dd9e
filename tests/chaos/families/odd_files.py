"""Broken and odd data files, read by ingest: whole, or refused in one message.

Two processes live as long as the family and read one file after the other.
"""

import multiprocessing
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.attack import Attack, Attempt, attempt
from tests.chaos.command import finished_here
from tests.odd_files import drawn, read

COUNT = 5000
SECONDS = 450.0
WORKERS = 2


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """Nothing is shared: every file is read alone."""
    begun_anew = multiprocessing.get_context("spawn")  # threads of this process are no copies there
    with ProcessPoolExecutor(WORKERS, mp_context=begun_anew) as pool:

        def attack(rng: random.Random, own: Path) -> Attempt:
            return pool.submit(attacked, rng).result()

        yield attack


def attacked(rng: random.Random) -> Attempt:
    """One file, read in this process."""
    odd, grouped = drawn(rng)
    wrong = ""

    def try_it() -> None:
        nonlocal wrong
        try:
            read(odd, grouped=grouped)
        except AssertionError as error:
            wrong = str(error) or "rows are lost"

    ended = finished_here(try_it)
    return attempt(f"{odd.name}: {odd.how}", ended, wrong)
