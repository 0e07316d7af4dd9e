"""A few attacks of the three families that need processes: `make chaos` makes them all."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from decant.runtime.steps import STEPS
from tests.chaos.attack import Attempt, Ended, Outcome, numbers
from tests.chaos.campaign import Campaign, Result
from tests.chaos.command import environment, finished
from tests.chaos.families import caches, disks, kills
from tests.chaos.killed_commands import WHOLE, step_alone
from tests.chaos.unharmed import Unharmed, run_unharmed

BEGIN = ("ingest", "tokenize")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Unharmed:
    """The two steps that take the least, without harm."""
    return run_unharmed(tmp_path_factory.mktemp("unharmed"), BEGIN)


def assert_no_fault(made: Attempt, expected: Outcome) -> None:
    assert made.outcome == expected, f"{made.done}: {made.wrong}\n{made.ended.output}"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_step_ends_equal(how: signal.Signals, begun: Unharmed, tmp_path: Path) -> None:
    kill = kills.Kill(command="tokenize", share=0.8, signal=how, victim=0, saves="60")
    made = kills.killed(kill, step_alone("tokenize", begun, tmp_path))
    assert_no_fault(made, Outcome.SURVIVED)


@pytest.mark.parametrize("harm", [None, "tokens is no folder"])
def test_a_forked_step_is_as_one_that_begins_anew(
    harm: str | None, begun: Unharmed, tmp_path: Path
) -> None:
    ends: list[Ended] = []
    for name, before in (("forked", None), ("anew", nothing)):
        own = tmp_path / name
        outputs = own / "outputs"
        outputs.mkdir(parents=True)
        if harm:
            (outputs / "tokens").write_text(harm, "utf-8")
        words = begun.words("tokenize", outputs)
        ends.append(finished(words, own, environment(own, DECANT_TRACKING="off"), before=before))
        if not harm:
            assert begun.difference("tokenize", outputs) == ""
    forked, anew = ends
    assert forked.code == anew.code == (2 if harm else 0)
    if harm:  # else both end with a table, as wide as the path in it
        assert forked.output.replace(f"{tmp_path}/forked", f"{tmp_path}/anew") == anew.output


def nothing() -> None:
    """Before a step: so it is not forked."""


def test_a_wrong_result_after_a_kill_is_found(begun: Unharmed, tmp_path: Path) -> None:
    """Half an output, a lost one and litter are no survival."""
    command = step_alone("tokenize", begun, tmp_path)
    assert "tokens is not as without harm" in command.wrong()
    (tmp_path / "outputs" / ".tokens.partial-1").mkdir()
    (tmp_path / "tmp" / "decant-fit").mkdir()
    assert ".tokens.partial-1 is left behind" in command.wrong()
    assert "tmp/decant-fit is left behind" in command.wrong()


@pytest.mark.parametrize("kind", [disks.limited, disks.read_only, disks.unreadable])
def test_full_disks_and_missing_rights_are_one_message(
    kind: Callable[[Unharmed, str, random.Random, Path], Attempt], begun: Unharmed, tmp_path: Path
) -> None:
    whole = begun
    made = kind(whole, "tokenize", random.Random(3), tmp_path)
    assert_no_fault(made, Outcome.MESSAGE)


def test_every_command_is_killed_by_both_signals() -> None:
    """By the default seed, without an attack being made."""
    plans = [kills.planned(number, numbers(13, "kills", number)) for number in range(kills.COUNT)]
    assert {plan.command for plan in plans} == {*STEPS, *WHOLE}
    assert {plan.signal for plan in plans if plan.command in WHOLE} == {
        signal.SIGKILL,
        signal.SIGTERM,
    }


@pytest.mark.slow
@pytest.mark.parametrize("family", ["caches", "disks", "kills"])
def test_a_few_of_each_family(family: str) -> None:
    results: list[Result] = []
    share = 4 / {"caches": caches, "disks": disks, "kills": kills}[family].COUNT
    Campaign(seed=13, deadline=time.monotonic() + 3600, share=share).run([family], results)
    (result,) = results
    assert not result.missing
    faults = [record for record in result.records if record.outcome.is_fault]
    assert not faults, faults
