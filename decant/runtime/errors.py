"""The one exception that users read, and how it is shown."""

import re
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape

from decant.runtime.error_codes import ERROR_CODES
from decant.runtime.secrets import without_secrets

_ENDLESS = re.compile(r"\S{5000,}")  # longer than any path


class UserError(Exception):
    """A mistake that the user can correct: shown as one message, without a traceback.

    State what is wrong with the value that was found, then what to do:

        raise UserError(
            "data.csv has no column 'lable'; it has: text, label",
            code="column-unknown",
            hint="set ingest.label_column to one of them",
        )

    Attributes:
        problem: what is wrong, and the value.
        code: names the kind of mistake, one of error_codes.py. It is stable: scripts and tests
            match it, not the sentence.
        hint: what to do, empty where the problem makes it clear.

    Raises:
        ValueError: unknown code.
    """

    def __init__(self, problem: str, *, code: str, hint: str = "") -> None:
        if code not in ERROR_CODES:
            raise ValueError(f"unknown error code '{code}': add it to error_codes.py")
        super().__init__(problem)
        self.problem = problem
        self.code = code
        self.hint = hint

    def as_json(self) -> dict[str, str]:
        """For another process."""
        return {"problem": self.problem, "code": self.code, "hint": self.hint}

    @classmethod
    def from_json(cls, fields: Mapping[str, str]) -> "UserError":
        """The inverse of `as_json`."""
        return cls(fields["problem"], code=fields["code"], hint=fields["hint"])

    def __str__(self) -> str:
        return f"{self.problem}\n  hint: {self.hint}" if self.hint else self.problem


def show_error(error: UserError) -> None:
    """Print the code and the message to standard error; an endless word only by its beginning."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
    text = _ENDLESS.sub(_beginning, without_secrets(str(error)))
    console.print(f"[bold red]error{escape(f'[{error.code}]')}:[/] {escape(text)}")


def _beginning(word: re.Match[str]) -> str:
    return f"{word[0][:100]}… ({len(word[0]):,} characters)"
