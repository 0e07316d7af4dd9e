"""The outcome of one check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from decant.runtime.errors import UserError
from decant.runtime.secrets import without_secrets
from pipelines.kubeflow.api_errors import one_line

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Attributes: the checked subject, its status, what was found, what to do."""

    name: str
    status: Status
    detail: str
    hint: str = ""


def guarded(name: str, check: Callable[[], Result]) -> Result:
    """The check's result; an exception is a failure, with its message."""
    try:
        return check()
    except UserError as error:
        return Result(
            name=name,
            status="failed",
            detail=one_line(without_secrets(error.problem)),
            hint=error.hint,
        )
    except Exception as error:
        detail = one_line(without_secrets(f"{type(error).__name__}: {error}"))
        return Result(name=name, status="failed", detail=detail)
