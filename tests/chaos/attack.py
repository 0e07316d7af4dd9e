"""The vocabulary of the attacks: how one ends, and who judges it.

A family is a module of `families/` with

    COUNT: int        attacks that a whole run makes
    SECONDS: float    what they take, roughly: its share of the time
    WORKERS: int      attacks side by side; 1 where they run in this process, on its main thread

    @contextmanager
    def arena(folder: Path) -> Iterator[Attack]:
        '''What its attacks share is made once, in `folder`; yields the function that attacks.'''

The function gets the random numbers of one attack, of which all that varies is drawn, and an empty
folder of its own, whose name is the attack's number.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

TRACEBACK = "Traceback (most recent call last)"
BUG = "this is a bug of Decant"
# Decant's own, and DVC's of a stage that failed.
_ERROR = re.compile(r"^error\[|^ERROR: failed", re.MULTILINE)
_CRASHED = ("Segmentation fault", "core dumped", "terminate called", "Exception ignored")


class Outcome(StrEnum):
    """How an attack ended. The last three are faults."""

    SURVIVED = "survived"  # code 0, and the result is right
    MESSAGE = "message"  # another code, one error with its cause, and nothing is lost
    TRACEBACK = "traceback"  # or a crash
    SILENT = "silent"  # code 0 with a wrong result, or an end without a word, or something is lost
    HUNG = "hung"  # past its limit

    @property
    def is_fault(self) -> bool:
        return self not in (Outcome.SURVIVED, Outcome.MESSAGE)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended: its exit code, None past its limit, and all that it printed."""

    code: int | None
    output: str


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attack, judged.

    Attributes:
        done: what was done, such as "student/model.safetensors cut in half, then export_onnx".
        wrong: what is wrong with the result; empty when nothing is.
    """

    done: str
    outcome: Outcome
    ended: Ended
    wrong: str = ""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A row of attacks.jsonl: enough to repeat the attack alone."""

    family: str
    number: int
    seed: int
    done: str
    outcome: Outcome
    code: int | None
    wrong: str
    lines: list[str]
    seconds: float


Attack = Callable[[random.Random, Path], Attempt]


def attempt(done: str, ended: Ended, wrong: str = "") -> Attempt:
    """Judge how an attack ended.

    Args:
        wrong: what is wrong with the result: after code 0 that it is not the unharmed one, after
            an error what was lost, or that the same command fails without the harm too.
    """
    return Attempt(done=done, outcome=outcome_of(ended, wrong), ended=ended, wrong=wrong)


def outcome_of(ended: Ended, wrong: str = "") -> Outcome:
    """From the exit code, the output, and what is wrong with the result (empty: nothing)."""
    if ended.code is None:
        return Outcome.HUNG
    crashed = ended.code < 0 or any(word in ended.output for word in _CRASHED)
    if TRACEBACK in ended.output or BUG in ended.output or crashed:
        return Outcome.TRACEBACK
    if wrong or (ended.code != 0 and not _ERROR.search(ended.output)):
        return Outcome.SILENT
    return Outcome.SURVIVED if ended.code == 0 else Outcome.MESSAGE


def numbers(seed: int, family: str, number: int) -> random.Random:
    """The random numbers of one attack, whatever ran before it."""
    return random.Random(f"{seed}/{family}/{number}")
