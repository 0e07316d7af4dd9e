"""The display of a run that is watched: a live table, or a line for every change."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipelines.kubeflow.run_progress import Watcher
from pipelines.kubeflow.states import Run, Task

STYLES = {
    "SUCCEEDED": "green",
    "RUNNING": "cyan",
    "FAILED": "bold red",
    "CANCELED": "yellow",
    "CANCELING": "yellow",
    "SKIPPED": "dim",
    "PENDING": "dim",
}
_NOTICE_SECONDS = 60.0  # between two lines about the same problem
_WAIT_SECONDS = 60.0  # for a node, before there is advice


class Advisor(Protocol):
    """Knows about a task that waits what the server's answer does not have."""

    def waits_for(self, run: Run, task: Task) -> str: ...

    def look_at(self, run: Run, task: Task) -> str: ...


@contextmanager
def watching(console: Console, advisor: Advisor) -> Iterator[Watcher]:
    """A live table on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield LineWatcher(console, advisor)
        return
    watcher = LiveWatcher(advisor)
    with Live(console=console, refresh_per_second=2, get_renderable=watcher.render):
        yield watcher


class LineWatcher:
    """A line for every change of a state, for logs."""

    def __init__(self, console: Console, advisor: Advisor) -> None:
        self._console, self._advisor = console, advisor
        self._seen: dict[str, object] = {}
        self._notice_at: float | None = None

    def update(self, run: Run) -> None:
        if self._notice_at is not None:
            self._line("server", "answers again")
            self._notice_at = None
        now = clock()
        for task in run.tasks:
            is_ahead = task.started is None and task.state == "PENDING"
            if not is_ahead and self._is_new(task.name, (task.state, task.attempts)):
                self._line(task.name, self._state(run, task, now))
            waited = (now - task.waits_since).total_seconds() if task.waits_since else 0.0
            if waited >= _WAIT_SECONDS and self._is_new(f"{task.name} waits", task.waits_since):
                advice = self._advisor.look_at(run, task)
                self._line(task.name, f"still PENDING after {clock_time(waited)}: {advice}")
        if self._is_new("", run.state):
            self._line("run", run.state)

    def trouble(self, problem: str, seconds: float) -> None:
        if self._notice_at is None or seconds - self._notice_at >= _NOTICE_SECONDS:
            self._notice_at = seconds
            self._line("server", f"{problem}; trying again")

    def _is_new(self, name: str, state: object) -> bool:
        if self._seen.get(name) == state:
            return False
        self._seen[name] = state
        return True

    def _state(self, run: Run, task: Task, now: datetime) -> str:
        if task.waits_since:
            wanted = self._advisor.waits_for(run, task)
            return f"PENDING {since(task.waits_since)}, waits for {wanted}{attempts(task)}"
        took = task.seconds(now) if task.ended else None
        return f"{task.state}{f' after {clock_time(took)}' if took else ''}{attempts(task)}"

    def _line(self, name: str, text: str) -> None:
        stamp = datetime.now().strftime("%H:%M:%S")
        self._console.print(f"{stamp} {escape(name)}: {escape(text)}")


class LiveWatcher:
    """A table of the tasks; their clocks advance between two answers of the server."""

    def __init__(self, advisor: Advisor) -> None:
        self._advisor = advisor
        self._run: Run | None = None
        self._notes: dict[str, str] = {}
        self._advice: dict[tuple[str, datetime], str] = {}
        self._trouble = ""

    def update(self, run: Run) -> None:
        self._notes = {task.name: self._note(run, task) for task in run.tasks}
        self._run, self._trouble = run, ""

    def trouble(self, problem: str, seconds: float) -> None:
        self._trouble = f"{problem}; trying again (for {clock_time(seconds)})"

    def render(self) -> Group | Text:
        if self._run is None:
            return Text(self._trouble or "waiting for the server", style="dim")
        return Group(tasks_table(self._run, self._notes), Text(self._trouble, style="yellow"))

    def _note(self, run: Run, task: Task) -> str:
        """Made when the server has answered, since it may need another answer."""
        if not task.waits_since:
            return attempts(task).strip(" ()")
        note = f"{since(task.waits_since)}, waits for {self._advisor.waits_for(run, task)}"
        key, waited = (task.name, task.waits_since), (clock() - task.waits_since).total_seconds()
        if waited >= _WAIT_SECONDS and key not in self._advice:
            self._advice[key] = self._advisor.look_at(run, task)
        advice = self._advice.get(key)
        return f"{note}{attempts(task)}{f': {advice}' if advice else ''}"


def tasks_table(run: Run, notes: Mapping[str, str]) -> Table:
    now = clock()
    table = Table.grid(padding=(0, 2))
    for task in run.tasks:
        took = task.seconds(now)
        table.add_row(
            Text(task.name),
            Text(task.state, style=STYLES.get(task.state, "")),
            Text(clock_time(took) if took is not None else "", justify="right"),
            Text(notes.get(task.name, ""), style="dim"),
        )
    end = run.finished if run.is_final and run.finished else now
    took = (end - run.created).total_seconds() if run.created else None
    table.add_row(
        Text("run", style="bold"),
        Text(run.state, style=STYLES.get(run.state, "")),
        Text(clock_time(took) if took is not None else ""),
    )
    return table


def clock() -> datetime:
    return datetime.now(UTC)


def clock_time(seconds: float) -> str:
    """Such as 0:00:07 or 1 day, 2:03:04."""
    return str(timedelta(seconds=max(0, round(seconds))))


def since(moment: datetime) -> str:
    """In the reader's time zone."""
    return f"since {moment.astimezone():%H:%M:%S}"


def attempts(task: Task) -> str:
    return f" (attempt {task.attempts})" if task.attempts > 1 else ""
