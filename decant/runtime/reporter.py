"""What a step logs while it runs: progress, points of learning curves, figures, tables."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from decant.runtime.argo_progress import ProgressFile
from decant.runtime.progress_lines import Pace, ProgressLines
from decant.runtime.secrets import without_secrets

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
        tracking_problem: why MLflow does not have the run, in its words; empty when it has.
        identity: of the step that runs, empty outside of one.
        work: the same, whatever the number of threads; trainings are kept under it.
        threads: that the identity holds, by library.
        pace: of the lines on long work, where the console is not a terminal.
    """

    step: str
    console: Console = field(default_factory=lambda: _console())
    on_point: PointListener | None = None
    run_id: str = ""
    tracking_problem: str = ""
    identity: str = ""
    work: str = ""
    threads: dict[str, int] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    _lines: ProgressLines = field(init=False, repr=False)
    _progress_file: ProgressFile = field(default_factory=ProgressFile, init=False, repr=False)

    def __post_init__(self) -> None:
        self._lines = ProgressLines(self.message, self.pace)

    def message(self, text: str) -> None:
        """Log a line."""
        self._print("", text)

    def warning(self, text: str) -> None:
        """Log a line that a person should see, though the step goes on."""
        self._print("[bold yellow]warning:[/] ", text)

    def metric(self, name: str, value: float) -> None:
        """A figure that the same inputs always give. See `metrics`."""
        self.metrics[name] = float(value)

    def measure(self, name: str, value: float) -> None:
        """A figure of this run alone, with its unit in the name. See `measures`."""
        self.measures[name] = float(value)

    def point(self, curve: str, step: int, value: float) -> None:
        """One point of a learning curve, such as ("validation_accuracy", epoch, 0.8)."""
        if self.on_point:
            self.on_point(curve, step, float(value))

    @contextmanager
    def progress(
        self, description: str, total: int, *, unit: str = "steps", done: int = 0
    ) -> Iterator[Advance]:
        """Show what is done and what remains of counted work; call the yielded function to advance.

        A bar on a terminal. Elsewhere a line now and then, also while nothing advances. In a pod of
        Argo, the figures in its progress file too.

        Args:
            description: what is being done, such as "labelling by the teacher".
            total: number of units.
            unit: plural, such as "rows".
            done: units that were done before, by an attempt that was cut off.
        """
        self._tell_argo(done, total)
        if not self._draws:
            with self._lines.work(description, total=total, unit=unit, done=done) as work:

                def advance(amount: int) -> None:
                    work.advance(amount)
                    self._tell_argo(work.done, total)

                yield advance
            return
        columns = (
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn(escape(unit)),
            TimeElapsedColumn(),
        )
        with self._bar(*columns, TextColumn("left"), TimeRemainingColumn()) as bar:
            task = bar.add_task(escape(without_secrets(description)), total=total, completed=done)
            yield lambda amount: bar.advance(task, amount)

    @contextmanager
    def activity(self, description: str) -> Iterator[None]:
        """Show that work continues which cannot be counted, and its time so far."""
        if not self._draws:
            with self._lines.work(description):
                yield
            return
        with self._bar(TimeElapsedColumn(), SpinnerColumn()) as bar:
            bar.add_task(escape(without_secrets(description)), total=None)
            yield

    @contextmanager
    def running(self) -> Iterator[None]:
        """Of a whole step: where there is no terminal, no log is silent for longer than the pace.

        Within it, lines show the current progress or activity, if there is one.
        """
        if self._draws:
            yield
            return
        with self._lines.work("", first_seconds=self.pace.every_seconds):
            yield

    def _tell_argo(self, done: int, total: int) -> None:
        if not self.console.quiet:  # of several processes the first alone
            self._progress_file.write(done, total)

    @property
    def _draws(self) -> bool:
        """Whether the console can redraw what it shows. A quiet one needs no lines either."""
        return self.console.is_interactive or self.console.is_jupyter or self.console.quiet

    def _bar(self, *columns: ProgressColumn) -> Progress:
        what = TextColumn(f"[bold cyan]{self.step}[/] {{task.description}}")
        return Progress(what, *columns, console=self.console, transient=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows under their columns; all but the first are aligned to the right."""
        table = Table(title=title, title_justify="left")
        for index, column in enumerate(columns):
            table.add_column(escape(column), justify="left" if index == 0 else "right")
        for row in rows:
            table.add_row(*(escape(_cell(value)) for value in row))
        self.console.print(table)

    def _print(self, mark: str, text: str) -> None:
        self.console.print(f"[bold cyan]{self.step}[/] {mark}{escape(without_secrets(text))}")


def _console() -> Console:
    console = Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = 120  # a log has no width; the 80 that rich assumes breaks the tables
    return console


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.4g}"
