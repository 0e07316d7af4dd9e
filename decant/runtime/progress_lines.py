"""Lines on long work where there is no terminal: what, done of how many, rate, time left.

A thread prints them, because work may stay in one call for minutes. It only reads counters.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """When lines are due.

    Attributes:
        first_seconds: from the beginning of a piece of work to its first line.
        every_seconds: at most, between two lines.
    """

    first_seconds: float = 5.0
    every_seconds: float = 30.0


class Work:
    """A piece of work and how much of it is done.

    Args:
        description: what is being done; empty for a step as a whole.
        total: how many units there are; None where they cannot be counted.
        unit: plural, such as "rows".
        done: units that an earlier attempt has done.
        started: seconds on the caller's clock.
    """

    def __init__(
        self,
        description: str,
        *,
        total: int | None = None,
        unit: str = "",
        done: int = 0,
        started: float,
    ) -> None:
        self.description, self.total, self.unit, self.done = description, total, unit, done
        self.lines = 0
        self._started, self._done_before = started, done
        # (seconds, done) at the last lines: a rate is of the last minute or so, not of the warm-up.
        self._samples = deque([(started, done)], maxlen=3)

    def advance(self, amount: int) -> None:
        """So many units more are done."""
        self.done += amount

    def line(self, now: float) -> str:
        """What there is to log now."""
        self.lines += 1
        elapsed = duration(now - self._started)
        if self.total is None:
            return self._described(f"still running, {elapsed} so far")
        done, rate = self.done, self._rate(now)
        counted = f"{done:,} of {self.total:,} {self.unit}"
        if not rate or done >= self.total:
            return self._described(f"{counted}, {elapsed} so far")
        left = duration((self.total - done) / rate)
        return self._described(f"{counted}, {shown_rate(rate, self.unit)}, {left} left")

    def last_line(self, now: float) -> str:
        """What there is to log when the work is done."""
        elapsed = duration(now - self._started)
        if self.total is None:
            return self._described(f"done in {elapsed}")
        return self._described(f"{self.done:,} {self.unit} done in {elapsed}")

    def _described(self, text: str) -> str:
        return f"{self.description}: {text}" if self.description else text

    def _rate(self, now: float) -> float:
        """Units per second lately; since the beginning where none was done lately."""
        done, beginning = self.done, (self._started, self._done_before)
        since, done_then = self._samples[0] if done > self._samples[0][1] else beginning
        self._samples.append((now, done))
        return (done - done_then) / max(now - since, 1e-9)


class ProgressLines:
    """Prints a line on the innermost piece of work whenever one is due.

    The thread lives as long as there is work.

    Args:
        log: called from the thread with a line.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        pace: Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._pace, self._clock = log, pace, clock
        self._due: dict[Work, float] = {}  # in the order in which the work began
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_read = True

    @contextmanager
    def work(
        self,
        description: str,
        *,
        total: int | None = None,
        unit: str = "",
        done: int = 0,
        first_seconds: float | None = None,
    ) -> Iterator[Work]:
        """Lines while the block runs, and one when it ends well if there were others before it.

        Args:
            first_seconds: instead of the pace's.
        """
        now = self._clock()
        work = Work(description, total=total, unit=unit, done=done, started=now)
        self._begin(work, now + (first_seconds or self._pace.first_seconds))
        try:
            yield work
        finally:
            self._end(work)
        if work.lines and description and self._is_read:
            self._log(work.last_line(self._clock()))

    def _begin(self, work: Work, due: float) -> None:
        with self._changed:
            self._due[work] = due
            self._changed.notify()
            if not self._thread:
                # A daemon: an interpreter that ends without leaving the block does not wait.
                self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
                self._thread.start()

    def _end(self, work: Work) -> None:
        with self._changed:
            del self._due[work]
            thread = self._thread
            if not thread or self._due:
                return
            self._thread = None
            self._changed.notify()
        thread.join()

    def _run(self) -> None:
        with self._changed:
            while self._thread is threading.current_thread():
                wait = min(self._due.values()) - self._clock()
                if wait > 0:
                    self._changed.wait(wait)
                    continue
                now = self._clock()
                innermost = next(reversed(self._due))
                try:
                    self._log(innermost.line(now))
                except (OSError, ValueError):  # nobody reads the log any more
                    self._is_read = False
                    return
                self._due = dict.fromkeys(self._due, now + self._pace.every_seconds)


def duration(seconds: float) -> str:
    """Such as "40 s", "2 min 55 s", "1 h 05 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def shown_rate(rate: float, unit: str) -> str:
    """Such as "365 rows/s", "2.5 batches/s"; per minute where it is slow."""
    if rate < 0.1:
        return f"{60 * rate:.2g} {unit}/min"
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"
