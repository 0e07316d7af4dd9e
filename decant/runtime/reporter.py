"""What a step says while it runs: progress, learning curves, figures, tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

Advance = Callable[[int], None]
PointListener = Callable[[str, int, float], None]


@dataclass(kw_only=True)
class Reporter:
    """Prints to the console and keeps the figures for the card, the sidecar and MLflow.

    Attributes:
        metrics: figures that the same inputs always give; they go into the artifact's card.
        measures: figures of this run alone, such as seconds; they go into its sidecar.
        on_point: called with (curve, step, value) at once, so that curves can be watched live.
        run_id: the MLflow run of this step, empty when nothing is tracked.
        identity: of the step that runs, empty outside of one.
    """

    step: str
    console: Console = field(default_factory=lambda: _console())
    on_point: PointListener | None = None
    run_id: str = ""
    identity: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)

    def message(self, text: str) -> None:
        self.console.print(f"[bold cyan]{self.step}[/] {escape(text)}")

    def warning(self, text: str) -> None:
        self.console.print(f"[bold cyan]{self.step}[/] [bold yellow]warning:[/] {escape(text)}")

    def metric(self, name: str, value: float) -> None:
        self.metrics[name] = float(value)

    def measure(self, name: str, value: float) -> None:
        self.measures[name] = float(value)

    def point(self, curve: str, step: int, value: float) -> None:
        """One point of a learning curve, such as ("validation_accuracy", epoch, 0.8)."""
        if self.on_point:
            self.on_point(curve, step, float(value))

    @contextmanager
    def progress(self, description: str, total: int) -> Iterator[Advance]:
        """A bar with what is done and what remains; call the yielded function to advance it."""
        columns = (
            TextColumn(f"[bold cyan]{self.step}[/] {{task.description}}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(description, total=total)
            yield lambda amount: bar.advance(task, amount)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        table = Table(title=title, title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(escape(column), justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*(escape(_cell(value)) for value in row))
        self.console.print(table)


def _console() -> Console:
    console = Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = 120  # a log has no width; the 80 that rich assumes breaks the tables
    return console


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
