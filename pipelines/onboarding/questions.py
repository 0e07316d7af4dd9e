"""Questions to the user, and what happens where nobody can answer."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from decant.runtime.errors import UserError


def can_answer() -> bool:
    """Whether a person sees the questions and can type."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Asks on a terminal; without one, or with `accept`, takes the proposal or refuses.

    Attributes:
        accept: take every proposal without a question (`--yes`).
    """

    console: Console
    accept: bool = False

    def choose(
        self,
        unclear: UserError,
        question: str,
        options: Mapping[str, str],
        *,
        proposal: str | None = None,
    ) -> str:
        """One of the options (name → what it looks like), by its name or its number from 1.

        Raises `unclear` where nobody can answer, or `accept` finds no proposal.
        """
        if self.accept and proposal is not None:
            return proposal
        if self.accept or not can_answer():
            raise unclear
        names = list(options)
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for number, (name, look) in enumerate(options.items(), start=1):
            table.add_row(str(number), Text(name, style="bold"), Text(look, style="dim"))
        self.console.print(f"[bold yellow]?[/] {_sentence(unclear.problem)}", soft_wrap=True)
        self.console.print(table)

        def parse(answer: str) -> str:
            if answer in options:
                return answer
            if answer.isdecimal() and 1 <= int(answer) <= len(names):
                return names[int(answer) - 1]
            raise click.BadParameter(f"'{answer}' is not one of them: a name or 1 to {len(names)}")

        chosen: str = click.prompt(question, default=proposal, value_proc=parse)
        return chosen

    def require_yes(self, unclear: UserError, question: str, *, proposal: bool) -> None:
        """Raises `unclear` where nobody can answer, and where the answer is no."""
        if not self.confirm(unclear, question, proposal=proposal):
            raise unclear

    def confirm(self, unclear: UserError, question: str, *, proposal: bool) -> bool:
        """Raises `unclear` where nobody can answer."""
        if self.accept:
            return proposal
        if not can_answer():
            raise unclear
        self.console.print(f"[bold yellow]?[/] {_sentence(unclear.problem)}", soft_wrap=True)
        return click.confirm(question, default=proposal)


def _sentence(problem: str) -> Text:
    return Text(problem[:1].upper() + problem[1:] + ".")
