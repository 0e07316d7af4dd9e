"""The one exception that users read, and how it is shown."""

from rich.console import Console
from rich.markup import escape


class UserError(Exception):
    """A mistake the user can mend: shown as one message, without a traceback.

    Say what is wrong with the value that was found, then what to do:

        raise UserError(f"no column 'lable' in data.csv; it has: text, label",
                        hint="set ingest.label_column to one of them")
    """

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.problem}\n  hint: {self.hint}" if self.hint else self.problem


def show_error(error: UserError) -> None:
    """Print the message to standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[bold red]error:[/] {escape(str(error))}")
