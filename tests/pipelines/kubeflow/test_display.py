"""The live table, and the lines where there is no terminal."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from pipelines.kubeflow.display import LiveWatcher, clock_time, watching
from pipelines.kubeflow.states import Run, Task

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
                pods=(),
            )
            for name, one in tasks.items()
        ),
    )


def test_a_live_table() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80, color_system=None)
    with watching(console) as watcher:
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
    watcher = LiveWatcher()
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
    with watching(Console(file=output, width=80)) as watcher:
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
