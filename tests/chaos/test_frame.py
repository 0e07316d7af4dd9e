"""The judge can find fault, and the frame tries, counts and repeats what it is asked to."""

import io
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from decant.runtime.errors import UserError
from tests.chaos import campaign as frame
from tests.chaos.attack import Attack, Attempt, Ended, Outcome, attempt, outcome_of
from tests.chaos.campaign import Campaign, Result
from tests.chaos.command import environment, finished, finished_here
from tests.chaos.table import is_clean, show

MESSAGE = "error[disk-full]: file: there is no room left on the disk\n  hint: make room there"


def raised(error: Exception) -> Ended:
    def call() -> None:
        raise error

    return finished_here(call)


@pytest.mark.parametrize(
    ("ended", "wrong", "expected"),
    [
        (Ended(code=0, output="done"), "", Outcome.SURVIVED),
        (Ended(code=0, output="done"), "the student differs", Outcome.SILENT),
        (Ended(code=2, output=MESSAGE), "", Outcome.MESSAGE),
        (Ended(code=2, output=MESSAGE), "the student is gone", Outcome.SILENT),
        (Ended(code=1, output="working"), "", Outcome.SILENT),
        (Ended(code=-11, output=MESSAGE), "", Outcome.TRACEBACK),
        (Ended(code=None, output="working"), "", Outcome.HUNG),
        (raised(UserError("no", code="disk-full")), "", Outcome.MESSAGE),
        (raised(KeyError("key")), "", Outcome.TRACEBACK),
        (finished_here(lambda: time.sleep(30), limit_seconds=0.1), "", Outcome.HUNG),
    ],
)
def test_the_judge_finds_faults(ended: Ended, wrong: str, expected: Outcome) -> None:
    assert outcome_of(ended, wrong) == expected, ended


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; print('error[disk-full]: full', file=sys.stderr); sys.exit(2)", "message"),
        ("{}['key']", "traceback"),
        ("import os; os.abort()", "traceback"),
        ("import sys; sys.exit(3)", "silent"),
        ("import time; time.sleep(600)", "hung"),
    ],
)
def test_commands_are_judged_too(code: str, expected: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", code]
    limit = 1 if expected == "hung" else 300
    ended = finished(words, tmp_path, environment(tmp_path), limit_seconds=limit)
    assert outcome_of(ended) == expected, ended


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Each attack waits as long as it says, and ends wrong once in a while."""
    module = ModuleType("family")
    module.COUNT, module.SECONDS, module.WORKERS = 20, 1.0, 2

    @contextmanager
    def arena(folder: Path) -> Iterator[Attack]:
        def attack(draw: random.Random, own: Path) -> Attempt:
            assert not list(own.iterdir()), "an attack's folder is its own"
            (own / "file").touch()
            number = draw.randrange(1000)
            wrong = "odd" if number % 7 == 0 else ""
            return attempt(f"drew {number}", Ended(code=0, output=""), wrong)

        yield attack

    module.arena = arena
    monkeypatch.setattr(frame, "load", lambda name: module)
    return module


@pytest.mark.parametrize("workers", [1, 2])
def test_an_attack_alone_is_the_one_of_the_whole_run(family: ModuleType, workers: int) -> None:
    family.WORKERS = workers
    later = time.monotonic() + 60
    whole: list[Result] = []
    Campaign(seed=13, deadline=later).run(["family"], whole)
    records = {record.number: record for record in whole[0].records}
    assert sorted(records) == list(range(20)) and not whole[0].missing
    assert len({record.done for record in whole[0].records}) > 15
    alone: list[Result] = []
    Campaign(seed=13, deadline=later, number=7).run(["family"], alone)
    (record,) = alone[0].records
    assert (record.done, record.outcome) == (records[7].done, records[7].outcome)


@pytest.mark.usefixtures("family")
def test_the_table_counts_and_tells_how_to_repeat() -> None:
    results: list[Result] = []
    Campaign(seed=13, deadline=time.monotonic() + 60, share=0.5).run(["family"], results)
    silent = [record for record in results[0].records if record.outcome == Outcome.SILENT]
    assert silent and results[0].asked == 10 and not is_clean(results)
    console = Console(width=120, record=True, file=io.StringIO())
    show(console, results)
    shown = console.export_text()
    assert f"--seed 13 --only family --number {silent[0].number}" in shown
    assert "wrong: odd" in shown


def test_what_there_is_no_time_for_is_said(family: ModuleType) -> None:
    results: list[Result] = []
    Campaign(seed=13, deadline=time.monotonic()).run(["family"], results)
    assert results[0].missing == family.COUNT and not is_clean(results)
    console = Console(width=120, record=True, file=io.StringIO())
    show(console, results)
    assert "family: 20 of 20 attacks were not tried" in console.export_text()
