"""How a command ends: one message for what the user or the system did, a traceback for a bug."""

import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import requires, version

from decant.runtime.errors import UserError, show_error
from decant.runtime.safe_output import hide_secrets
from decant.runtime.secrets import without_secrets
from decant.runtime.system_errors import as_user_error
from decant.runtime.termination import let_exit_finish, told_to_end

_OWN_PACKAGES = ("", "decant", "components", "pipelines", "benchmarks")


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End the process after an error of the block, as every command does.

    With code 2 and one message on standard error after a UserError, for a package that is not
    installed (the base installation only uses models), and for what the system does: full disks,
    missing rights. With code 1 after any other error: that is a bug, and has its traceback and a
    line that says where to report it. What the process prints has no secrets from here on.
    """
    hide_secrets()
    try:
        try:
            yield
        finally:
            _flush()
    except BrokenPipeError:  # whoever reads has enough
        sys.exit(1)
    except Exception as error:
        if code := told_to_end(error):
            sys.exit(code)
        if problem := _explained(error):
            show_error(problem)
            sys.exit(2)
        _show_bug(error)
        sys.exit(1)
    finally:
        let_exit_finish()


def _explained(error: Exception) -> UserError | None:
    """None for a bug."""
    if isinstance(error, UserError):
        return error
    if not isinstance(error, ModuleNotFoundError):
        return as_user_error(error)
    package = (error.name or "").partition(".")[0]
    if package in _OWN_PACKAGES:
        return None
    return UserError(
        f"this needs the package {package}, which is not installed",
        code="package-missing",
        hint=f"pip install 'decant[{_extra_with(package)}]'",
    )


def _show_bug(error: Exception) -> None:
    """Python's traceback without secrets, then what to do with it."""
    lines = without_secrets("".join(traceback.format_exception(error)))
    print(
        f"{lines}\nthis is a bug of Decant {version('decant')}: please report it, with the lines "
        "above, in the issues of the repository that you have Decant from",
        file=sys.stderr,
    )


def _flush() -> None:
    """Raises OSError where standard output cannot be written; nothing more is written to it."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):  # or Python writes the rest at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _extra_with(package: str) -> str:
    """The first extra of Decant that names the package, else the one with all."""
    for requirement in requires("decant") or ():
        name = re.match(r"[\w-]+", requirement)  # of ruamel.yaml the module is ruamel
        extra = re.search(r"extra == [\"'](\w+)[\"']", requirement)
        if name and extra and name[0].lower().replace("-", "_") == package.lower():
            return extra[1]
    return "all"
