"""Long work shows itself: bars on a terminal, lines elsewhere."""

import io
import threading
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from decant.runtime.progress_lines import Pace, ProgressLines, Work, duration, shown_rate
from decant.runtime.reporter import Reporter

QUICK = Pace(first_seconds=0.02, every_seconds=0.05)
PATIENCE_SECONDS = 20


def log_reporter(pace: Pace = QUICK) -> tuple[Reporter, io.StringIO]:
    log = io.StringIO()
    return Reporter(step="distill", console=Console(file=log, width=120), pace=pace), log


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def progress_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_a_line_has_what_how_many_rate_and_time_left() -> None:
    work = Work("labelling by the teacher", total=76_349, unit="rows", started=100.0)
    work.advance(3650)
    assert work.line(110.0) == (
        # 3,650 rows in 10 s; 72,699 rows at 365 rows/s take 199.2 s
        "labelling by the teacher: 3,650 of 76,349 rows, 365 rows/s, 3 min 19 s left"
    )


def test_the_rate_is_that_of_the_last_lines_not_of_the_warm_up() -> None:
    work = Work("training", total=1000, unit="steps", started=0.0)
    work.advance(10)
    assert "1 steps/s" in work.line(10.0)
    for now in (20.0, 30.0, 40.0):
        work.advance(100)
        line = work.line(now)
    # since the line three before: 300 steps in 30 s; 690 are left
    assert line == "training: 310 of 1,000 steps, 10 steps/s, 1 min 09 s left"


def test_work_that_stands_still_keeps_its_rate_since_the_beginning() -> None:
    work = Work("throughput", total=10, unit="batches", started=0.0)
    work.advance(5)
    for now in (50.0, 60.0, 70.0, 80.0):
        line = work.line(now)
    # 5 batches in 80 s are 3.75 a minute
    assert line == "throughput: 5 of 10 batches, 3.8 batches/min, 1 min 20 s left"


def test_what_an_earlier_attempt_has_done_does_not_count_as_fast() -> None:
    work = Work("training", total=100, unit="steps", done=50, started=0.0)
    work.advance(10)
    assert work.line(10.0) == "training: 60 of 100 steps, 1 steps/s, 40 s left"


def test_without_anything_done_there_is_no_rate() -> None:
    work = Work("training", total=100, unit="steps", started=0.0)
    assert work.line(75.0) == "training: 0 of 100 steps, 1 min 15 s so far"


def test_when_all_is_counted_the_rest_takes_its_time() -> None:
    work = Work("training", total=100, unit="steps", started=0.0)
    work.advance(100)
    assert work.line(40.0) == "training: 100 of 100 steps, 40 s so far"


def test_work_without_a_count_is_still_running() -> None:
    work = Work("BERT-base: export", started=0.0)
    assert work.line(40.0) == "BERT-base: export: still running, 40 s so far"
    assert work.last_line(61.0) == "BERT-base: export: done in 1 min 01 s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (175.0, "2 min 55 s"),
        (3599.6, "1 h 00 min"),
        (3900.0, "1 h 05 min"),
        (-1.0, "0 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(12_345.6, "12,346 rows/s"), (10.0, "10 rows/s"), (2.54, "2.5 rows/s"), (0.05, "3 rows/min")],
)
def test_rates(rate: float, text: str) -> None:
    assert shown_rate(rate, "rows") == text


def test_a_log_gets_lines_although_nothing_advances() -> None:
    reporter, log = log_reporter()
    with reporter.progress("labelling", 10, unit="rows") as advance:
        advance(4)
        wait_until(lambda: log.getvalue().count("\n") >= 3)
    lines = log.getvalue().splitlines()
    assert all(line.startswith("distill labelling: 4 of 10 rows, ") for line in lines[:3])
    assert lines[-1].startswith("distill labelling: 4 rows done in ")
    assert not progress_threads()


def test_an_activity_without_a_count_logs_too() -> None:
    reporter, log = log_reporter()
    with reporter.activity("exporting [the] teacher"):
        wait_until(lambda: log.getvalue().count("\n") >= 2)
    assert "distill exporting [the] teacher: still running, 0 s so far\n" in log.getvalue()
    assert "distill exporting [the] teacher: done in 0 s\n" in log.getvalue()


def test_quick_work_logs_nothing() -> None:
    reporter, log = log_reporter(Pace())
    with reporter.running(), reporter.progress("rows", 3) as advance:
        advance(3)
    with reporter.activity("reading"):
        pass
    assert log.getvalue() == ""


def test_the_thread_ends_with_a_block_that_fails() -> None:
    reporter, log = log_reporter()
    with pytest.raises(ZeroDivisionError), reporter.progress("labelling", 10):
        wait_until(lambda: "labelling" in log.getvalue())
        assert progress_threads()
        raise ZeroDivisionError
    assert not progress_threads()
    assert "done in" not in log.getvalue()


def test_a_step_logs_also_between_its_pieces_of_work() -> None:
    reporter, log = log_reporter()
    with reporter.running():
        with reporter.activity("reading"):
            wait_until(lambda: "reading: still" in log.getvalue())
        length = len(log.getvalue())
        wait_until(lambda: "distill still running" in log.getvalue()[length:])
    assert not progress_threads()


def test_many_short_pieces_of_work_do_not_keep_a_step_silent() -> None:
    """None of them lasts until its own first line; the step's line is due all the same."""
    now = 0.0
    log: list[str] = []
    lines = ProgressLines(log.append, Pace(), clock=lambda: now)
    with lines.work("", first_seconds=30):
        for number in range(8):  # of 4 s each
            with lines.work(f"piece {number}"):
                now += 4
        with lines.work("piece 8"):  # wakes the thread at 32 s
            wait_until(lambda: bool(log))
    assert log[0] == "piece 8: still running, 0 s so far"


def test_lines_come_after_five_seconds_and_then_every_thirty() -> None:
    """On a clock that the test turns."""
    now = 0.0
    log: list[str] = []
    lines = ProgressLines(log.append, Pace(), clock=lambda: now)
    seen = []
    with lines.work("exporting"):
        for seconds in (4.9, 5.0, 34.9, 35.0, 64.9, 65.0):
            now = seconds
            with lines.work("", first_seconds=1000):  # wakes the thread
                time.sleep(0.2)
            seen.append(len(log))
    assert seen == [0, 1, 1, 2, 2, 3]


def test_a_reader_who_left_does_not_stop_the_work() -> None:
    reporter, log = log_reporter()
    with reporter.progress("labelling", 10):
        log.close()
        wait_until(lambda: not progress_threads())


def test_a_terminal_has_a_bar_and_no_lines() -> None:
    screen = io.StringIO()
    console = Console(
        file=screen, force_terminal=True, width=120, _environ={"TERM": "xterm-256color"}
    )
    reporter = Reporter(step="distill", console=console, pace=QUICK)
    with reporter.running(), reporter.progress("labelling", 10, unit="rows") as advance:
        advance(4)
        assert not progress_threads()
        wait_until(lambda: "4/10" in screen.getvalue())
    with reporter.activity("exporting"):
        wait_until(lambda: "exporting" in screen.getvalue())
    assert "━" in screen.getvalue()
    assert " of 10" not in screen.getvalue() and "still running" not in screen.getvalue()


def test_a_quiet_console_stays_quiet() -> None:
    log = io.StringIO()
    reporter = Reporter(step="distill", console=Console(file=log, quiet=True), pace=QUICK)
    with reporter.running(), reporter.progress("rows", 2) as advance, reporter.activity("reading"):
        advance(1)
        assert not progress_threads()
    assert log.getvalue() == ""
