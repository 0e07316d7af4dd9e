"""The display of a run that is watched: a live table, or a line for every change."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pipelines.kubeflow.run_progress import Watcher
from pipelines.kubeflow.states import Run

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


@contextmanager
def watching(console: Console) -> Iterator[Watcher]:
    """A live table on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield LineWatcher(console)
        return
    watcher = LiveWatcher()
    with Live(console=console, refresh_per_second=2, get_renderable=watcher.render):
        yield watcher


class LineWatcher:
    """A line for every change of a state, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, str] = {}
        self._notice_at: float | None = None

    def update(self, run: Run) -> None:
        if self._notice_at is not None:
            self._line("server", "answers again")
            self._notice_at = None
        now = datetime.now(UTC)
        for task in run.tasks:
            if self._seen.get(task.name) == task.state:
                continue
            self._seen[task.name] = task.state
            took = task.seconds(now) if task.ended else None
            self._line(task.name, f"{task.state}{f' after {clock_time(took)}' if took else ''}")
        if self._seen.get("") != run.state:
            self._seen[""] = run.state
            self._line("run", run.state)

    def trouble(self, problem: str, seconds: float) -> None:
        if self._notice_at is None or seconds - self._notice_at >= _NOTICE_SECONDS:
            self._notice_at = seconds
            self._line("server", f"{problem}; trying again")

    def _line(self, name: str, text: str) -> None:
        stamp = datetime.now().strftime("%H:%M:%S")
        self._console.print(f"{stamp} {escape(name)}: {escape(text)}")


class LiveWatcher:
    """A table of the tasks; their clocks advance between two answers of the server."""

    def __init__(self) -> None:
        self._run: Run | None = None
        self._trouble = ""

    def update(self, run: Run) -> None:
        self._run, self._trouble = run, ""

    def trouble(self, problem: str, seconds: float) -> None:
        self._trouble = f"{problem}; trying again (for {clock_time(seconds)})"

    def render(self) -> Group | Text:
        if self._run is None:
            return Text(self._trouble or "waiting for the server", style="dim")
        return Group(tasks_table(self._run), Text(self._trouble, style="yellow"))


def tasks_table(run: Run) -> Table:
    now = datetime.now(UTC)
    table = Table.grid(padding=(0, 2))
    for task in run.tasks:
        took = task.seconds(now)
        table.add_row(
            Text(task.name),
            Text(task.state, style=STYLES.get(task.state, "")),
            Text(clock_time(took) if took is not None else "", justify="right"),
        )
    end = run.finished if run.is_final and run.finished else now
    took = (end - run.created).total_seconds() if run.created else None
    table.add_row(
        Text("run", style="bold"),
        Text(run.state, style=STYLES.get(run.state, "")),
        Text(clock_time(took) if took is not None else ""),
    )
    return table


def clock_time(seconds: float) -> str:
    """Such as 0:00:07 or 1 day, 2:03:04."""
    return str(timedelta(seconds=max(0, round(seconds))))
