"""Runs the attacks of the families, one family after the other, within the time there is."""

import importlib
import re
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from decant.runtime.identity import PROJECT
from tests.chaos.attack import Attack, Attempt, Ended, Outcome, Record, numbers

_FAMILIES = Path(__file__).parent / "families"
_LINES, _LINES_OF_A_FAULT = 12, 200


@dataclass(kw_only=True)
class Result:
    """Of a family: what was asked and what was tried."""

    family: str
    asked: int
    records: list[Record] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, outcome: Outcome) -> int:
        return sum(record.outcome == outcome for record in self.records)

    @property
    def missing(self) -> int:
        return self.asked - len(self.records)


def families() -> list[str]:
    """Every file of the folder is one, in alphabetical order."""
    return sorted(path.stem for path in _FAMILIES.glob("[!_]*.py"))


def load(family: str) -> ModuleType:
    return importlib.import_module(f"tests.chaos.families.{family}")


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What is asked for.

    Attributes:
        share: of each family's attacks.
        number: the one attack to make of each family; None: all.
        stop: set from outside, it ends the campaign after the attacks at work.
        seen: called with each record.
    """

    seed: int
    deadline: float  # time.monotonic()
    share: float = 1.0
    number: int | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    seen: Callable[[Record], None] = lambda record: None

    def asked(self, family: str) -> list[int]:
        """The numbers of the attacks."""
        if self.number is not None:
            return [self.number]
        return list(range(max(1, round(load(family).COUNT * self.share))))

    def run(self, names: list[str], results: list[Result]) -> None:
        """Append a result per family; unspent time goes to the later ones."""
        for position, name in enumerate(names):
            result = Result(family=name, asked=len(self.asked(name)))
            results.append(result)
            rest = sum(load(later).SECONDS for later in names[position:])
            now = time.monotonic()
            until = now + max(0.0, self.deadline - now) * load(name).SECONDS / rest
            try:
                self._run_family(name, result, until)
            finally:
                result.seconds = time.monotonic() - now

    def _run_family(self, name: str, result: Result, until: float) -> None:
        module = load(name)
        if self.stop.is_set() or time.monotonic() >= until:
            return
        with tempfile.TemporaryDirectory(prefix=f"chaos-{name}-") as folder:
            shared = Path(folder) / "shared"
            shared.mkdir()
            with module.arena(shared) as attack:

                def make(number: int) -> Record:
                    own = Path(folder) / str(number)
                    own.mkdir()
                    try:
                        return self._record(name, number, attack, own)
                    finally:
                        shutil.rmtree(own, ignore_errors=True)

                for record in self._made(module.WORKERS, self.asked(name), make, until):
                    result.records.append(record)
                    self.seen(record)

    def _made(
        self, workers: int, asked: list[int], make: Callable[[int], Record], until: float
    ) -> Iterator[Record]:
        """Begins none once the time is over; what has begun is waited for."""

        def may_begin() -> bool:
            return not self.stop.is_set() and time.monotonic() < until

        pending = list(reversed(asked))
        if workers == 1:
            while pending and may_begin():
                yield make(pending.pop())
            return
        with ThreadPoolExecutor(workers) as pool:
            at_work: set[Future[Record]] = set()
            while at_work or (pending and may_begin()):
                while pending and len(at_work) < workers and may_begin():
                    at_work.add(pool.submit(make, pending.pop()))
                done, at_work = wait(at_work, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)

    def _record(self, family: str, number: int, attack: Attack, folder: Path) -> Record:
        began = time.monotonic()
        try:
            made = attack(numbers(self.seed, family, number), folder)
        except Exception:  # the attack itself failed: that is a fault too, of the suite
            error = traceback.format_exc()
            made = Attempt(
                done="the attack itself failed",
                outcome=Outcome.TRACEBACK,
                ended=Ended(code=1, output=error),
            )
        return Record(
            family=family,
            number=number,
            seed=self.seed,
            done=made.done,
            outcome=made.outcome,
            code=made.ended.code,
            wrong=made.wrong,
            lines=_last_lines(
                made.ended.output, folder, _LINES_OF_A_FAULT if made.outcome.is_fault else _LINES
            ),
            seconds=round(time.monotonic() - began, 2),
        )


def _last_lines(output: str, folder: Path, number: int) -> list[str]:
    """Without the paths of this machine, so that two runs can be compared."""
    text = output.replace(str(folder), "FOLDER").replace(str(folder.parent), "CHAOS")
    text = text.replace(str(PROJECT), "PROJECT")
    return [re.sub(r"\s+$", "", line) for line in text.splitlines()][-number:]
