"""The live table, and the lines where there is no terminal."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from pipelines.kubeflow import display
from pipelines.kubeflow.display import LiveWatcher, clock_time, watching
from pipelines.kubeflow.states import Run, Task


class Advice:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def waits_for(self, run: Run, task: Task) -> str:
        return "a node with [2] CPU"

    def look_at(self, run: Run, task: Task) -> str:
        self.asked += 1
        return "kubectl describe pod [x]"


BEGIN = datetime(2026, 11, 1, 10, tzinfo=UTC)


def run(state: str, **tasks: str) -> Run:
    return Run(
        run_id="r",
        name="a run",
        state=state,
        error="",
        created=BEGIN,
        finished=datetime(2026, 11, 1, 11, tzinfo=UTC),
        tasks=tuple(
            Task(
                name=name,
                state=one,
                error="",
                started=BEGIN,
                ended=datetime(2026, 11, 1, 10, 0, 7, tzinfo=UTC),
            )
            for name, one in tasks.items()
        ),
    )


def test_a_live_table() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80, color_system=None)
    with watching(console, Advice()) as watcher:
        assert isinstance(watcher, LiveWatcher)
        watcher.update(run("RUNNING", ingest="SUCCEEDED", distill="RUNNING"))
        watcher.trouble("no answer from host: [it] is away", 65.0)
        watcher.update(run("FAILED", ingest="SUCCEEDED", distill="FAILED"))
    last = output.getvalue().rpartition("ingest")[2]
    rows = [row.split() for row in f"ingest{last}".splitlines() if row.strip()]
    assert [row[:3] for row in rows[:3]] == [
        ["ingest", "SUCCEEDED", "0:00:07"],
        ["distill", "FAILED", "0:00:07"],
        ["run", "FAILED", "1:00:00"],
    ]


def test_what_the_live_table_says_without_an_answer() -> None:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    watcher = LiveWatcher(Advice())
    console.print(watcher.render())
    watcher.trouble("no answer from [host]", 65.0)
    console.print(watcher.render())
    watcher.update(run("RUNNING"))
    watcher.trouble("no answer from [host]", 125.0)
    console.print(watcher.render())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "waiting for the server" in text
    assert "no answer from [host]; trying again (for 0:01:05)" in text
    assert "no answer from [host]; trying again (for 0:02:05)" in text


def test_lines_for_a_log() -> None:
    output = io.StringIO()
    with watching(Console(file=output, width=80), Advice()) as watcher:
        watcher.update(run("RUNNING", ingest="RUNNING"))
        watcher.update(run("RUNNING", ingest="RUNNING"))
        for seconds in (0.0, 10.0, 59.0, 60.0, 70.0, 121.0):
            watcher.trouble("no answer from [host]", seconds)
        watcher.update(run("RUNNING", ingest="SUCCEEDED"))
    lines = [line.split(" ", 1)[1] for line in output.getvalue().splitlines()]
    assert lines == [
        "ingest: RUNNING after 0:00:07",
        "run: RUNNING",
        *["server: no answer from [host]; trying again"] * 3,
        "server: answers again",
        "ingest: SUCCEEDED after 0:00:07",
    ]


def waiting(attempts: int = 1, *, has_begun: bool = True) -> Run:
    """A run whose task `finetune` waits for a node since BEGIN."""
    going = run("RUNNING", finetune="PENDING")
    started = BEGIN if has_begun else None
    task = replace(
        going.tasks[0], started=started, ended=None, waits_since=BEGIN, attempts=attempts
    )
    return replace(going, tasks=(task,))


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(display, "clock", lambda: BEGIN + timedelta(seconds=seconds))


def test_advice_on_a_wait_comes_once_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    output, advice = io.StringIO(), Advice()
    with watching(Console(file=output, width=120), advice) as watcher:
        for seconds in (1, 59, 60, 61, 600):
            at(monkeypatch, seconds)
            watcher.update(waiting())
        watcher.update(waiting(attempts=2))
        watcher.update(run("RUNNING", finetune="RUNNING"))
    lines = [line.split(" ", 1)[1] for line in output.getvalue().splitlines()]
    since = display.since(BEGIN)
    assert lines == [
        f"finetune: PENDING {since}, waits for a node with [2] CPU",
        "run: RUNNING",
        "finetune: still PENDING after 0:01:00: kubectl describe pod [x]",
        f"finetune: PENDING {since}, waits for a node with [2] CPU (attempt 2)",
        "finetune: RUNNING after 0:00:07",
    ]
    assert advice.asked == 1


def test_a_task_whose_driver_waits_is_a_line_only_after_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = io.StringIO()
    with watching(Console(file=output, width=120), Advice()) as watcher:
        for seconds in (1, 60):
            at(monkeypatch, seconds)
            watcher.update(waiting(has_begun=False))
    lines = [line.split(" ", 1)[1] for line in output.getvalue().splitlines()]
    assert lines == [
        "run: RUNNING",
        "finetune: still PENDING after 0:01:00: kubectl describe pod [x]",
    ]


def test_a_wait_in_the_live_table(monkeypatch: pytest.MonkeyPatch) -> None:
    advice = Advice()
    watcher = LiveWatcher(advice)
    console = Console(file=io.StringIO(), width=150, color_system=None)
    for seconds in (59, 61, 70):
        at(monkeypatch, seconds)
        watcher.update(waiting(attempts=2))
        console.print(watcher.render())
    rows = [
        " ".join(row.split())
        for row in console.file.getvalue().splitlines()  # type: ignore[attr-defined]
        if row.startswith("finetune")
    ]
    note = f"{display.since(BEGIN)}, waits for a node with [2] CPU (attempt 2)"
    assert rows == [
        f"finetune PENDING 0:00:59 {note}",
        f"finetune PENDING 0:01:01 {note}: kubectl describe pod [x]",
        f"finetune PENDING 0:01:10 {note}: kubectl describe pod [x]",
    ]
    assert advice.asked == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0:00:00"),
        (7, "0:00:07"),
        (3723.6, "1:02:04"),
        (90000, "1 day, 1:00:00"),
        (-1, "0:00:00"),
    ],
)
def test_clock_times(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text
