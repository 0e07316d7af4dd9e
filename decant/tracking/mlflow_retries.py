"""Requests to an MLflow server, tried again where the trouble passes by itself."""

from collections.abc import Callable
from typing import TypeVar

from decant.runtime.errors import UserError
from decant.runtime.retrying import PASSING_STATUSES, passes_by_itself, retried
from decant.tracking.mlflow_store import tracking_uri

T = TypeVar("T")


def retried_in_mlflow(
    what: str,
    action: Callable[[], T],
    *,
    seconds: float | None = None,
    total_seconds: float | None = None,
) -> T:
    """As `retried`, for an action that may be repeated. A local store is not tried again."""
    return retried(what, action, passes=_passes, seconds=seconds, total_seconds=total_seconds)


def _passes(error: BaseException) -> bool:
    if isinstance(error, UserError) or not tracking_uri().startswith(("http://", "https://")):
        return False
    status = getattr(error, "get_http_status_code", None)  # of MLflow's exceptions
    return passes_by_itself(error) or (status is not None and status() in PASSING_STATUSES)
