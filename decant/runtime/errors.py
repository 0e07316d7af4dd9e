"""The one exception that users read, and how a command ends with it."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import requires

from rich.console import Console
from rich.markup import escape

from decant.runtime.error_codes import ERROR_CODES
from decant.runtime.safe_output import hide_secrets
from decant.runtime.secrets import without_secrets


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


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Show a UserError of the block on standard error and end the process with code 2.

    A package that is not installed, since the base installation only uses models, is one too. What
    else the process prints, a traceback too, has no secrets from here on.
    """
    hide_secrets()
    try:
        yield
    except UserError as error:
        show_error(error)
        sys.exit(2)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "decant", "components", "pipelines", "benchmarks"):
            raise
        show_error(
            UserError(
                f"this needs the package {package}, which is not installed",
                code="package-missing",
                hint=f"pip install 'decant[{_extra_with(package)}]'",
            )
        )
        sys.exit(2)


def show_error(error: UserError) -> None:
    """Print the code and the message to standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(
        f"[bold red]error{escape(f'[{error.code}]')}:[/] {escape(without_secrets(str(error)))}"
    )


def _extra_with(package: str) -> str:
    """The first extra of Decant that names the package, else the one with all."""
    for requirement in requires("decant") or ():
        name = re.match(r"[\w-]+", requirement)  # of ruamel.yaml the module is ruamel
        extra = re.search(r"extra == [\"'](\w+)[\"']", requirement)
        if name and extra and name[0].lower().replace("-", "_") == package.lower():
            return extra[1]
    return "all"
