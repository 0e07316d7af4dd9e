"""The outcome of one check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from components.shared.errors import UserError
from pipelines.cluster.errors import one_line

Status = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Attributes: what was checked, how it is, what was found, what to do."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def guarded(name: str, check: Callable[[], Result]) -> Result:
    """The check's result; one that breaks off has failed, with its message."""
    try:
        return check()
    except UserError as error:
        return Result(
            name=name, status="failed", detail=one_line(error.problem), remedy=error.remedy
        )
    except Exception as error:
        from components.shared.tracking_store import without_secrets

        detail = one_line(without_secrets(f"{type(error).__name__}: {error}"))
        return Result(name=name, status="failed", detail=detail)
