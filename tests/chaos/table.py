"""The table of a campaign, and its faults."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.chaos.attack import Outcome, Record
from tests.chaos.campaign import Result


def show(
    console: Console, results: Sequence[Result], *, cut_off: str = "the time was over"
) -> None:
    """A row per family, then what is wrong, each with the command that repeats it.

    Args:
        cut_off: why attacks are missing.
    """
    table = Table(title="attacks", title_justify="left")
    table.add_column("family")
    for name in ("tried", *Outcome, "seconds"):
        table.add_column(str(name), justify="right")
    for result in results:
        counts = [str(result.count(outcome)) for outcome in Outcome]
        tried = str(len(result.records))
        table.add_row(result.family, tried, *counts, f"{result.seconds:.0f}")
    console.print(table)
    for result in results:
        for record in result.records:
            if record.outcome.is_fault:
                console.print(_fault(record), soft_wrap=True)
        if result.missing:
            console.print(
                f"{result.family}: {result.missing} of {result.asked} attacks were not tried: "
                f"{cut_off}"
            )


def is_clean(results: Sequence[Result]) -> bool:
    """Whether all that was asked was tried, and nothing ended in a fault."""
    return not any(
        result.missing or any(record.outcome.is_fault for record in result.records)
        for result in results
    )


def _fault(record: Record) -> str:
    lines = "\n".join(f"    {line}" for line in record.lines)
    again = f"--seed {record.seed} --only {record.family} --number {record.number}"
    return escape(
        f"\n{record.outcome} (exit code {record.code}): {record.done}\n"
        + (f"  wrong: {record.wrong}\n" if record.wrong else "")
        + f"{lines}\n  again: python -m tests.chaos {again}"
    )
