"""Broken and odd data files, read by ingest in this process: whole, or refused in one message."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.attack import Attack, Attempt, attempt
from tests.chaos.command import finished_here
from tests.odd_files import drawn, read

COUNT = 5000
SECONDS = 400.0
WORKERS = 1


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """Nothing is shared: the files are small, and every one is read alone."""

    def attack(rng: random.Random, own: Path) -> Attempt:
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

    yield attack
