"""Why MLflow refuses, in its own words, with what helps: causes that no later attempt changes."""

import json
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from decant.runtime.errors import UserError
from decant.runtime.secrets import shown_uri, without_secrets

if TYPE_CHECKING:
    from requests import Response

_TOKEN, _USER, _PASSWORD = (f"MLFLOW_TRACKING_{name}" for name in ("TOKEN", "USERNAME", "PASSWORD"))
_MOST_CHARACTERS = 200
_EXPERIMENT = re.compile(r"experiment (?:with id=)?'?(\w+)", re.IGNORECASE)
_RUN = re.compile(r"run (?:with id=)?'?(\w+)", re.IGNORECASE)


def refused_answer(answer: "Response", uri: str) -> UserError | None:
    """What a server's answer to a request for experiments says; None when it gives them.

    None also for trouble of the server itself, which may pass.
    """
    status, where, said = answer.status_code, shown_uri(uri), _sentence(answer)
    if status == 403 and "host header" in said.lower():
        return UserError(
            f"MLflow at {where} does not answer to this name (HTTP 403): {said}",
            code="tracking-host-refused",
            hint=f"start the server with --allowed-hosts {urlsplit(where).netloc} "
            "(MLFLOW_SERVER_ALLOWED_HOSTS), or use a name that it allows",
        )
    if status in (401, 403):
        return UserError(
            f"MLflow at {where} refuses the credentials (HTTP {status}): {_credentials()}"
            + (f"; it says: {said}" if said else ""),
            code="tracking-access-denied",
            hint=f"set {_TOKEN} to a token that is valid",
        )
    is_json = _object(answer) is not None
    if (status < 400 and not is_json) or (status in (404, 405) and not is_json):
        return UserError(
            f"there is no MLflow API at {where} (HTTP {status})" + (f": {said}" if said else ""),
            code="tracking-address-wrong",
            hint="give the address as the browser has it before `/#/`: a server behind a proxy may "
            f"have a prefix, as in {where.rstrip('/')}/mlflow; a login page needs a token",
        )
    return None


def lasting_cause(error: Exception) -> UserError | None:
    """What an error of MLflow's client means; None where a later attempt may succeed."""
    text = without_secrets(str(error)).strip()
    first = text.partition("\n")[0]
    if "out-of-date database schema" in text:  # so it says also of one that is too new
        return UserError(
            f"MLflow's database does not fit the installed MLflow: {first}",
            code="tracking-store-outdated",
            hint="back the database up, then run `mlflow db upgrade URI`; where that cannot locate "
            "the revision, a newer MLflow wrote it: install that one",
        )
    if "must be in the 'active' state" in text:
        return _deleted(first)
    if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
        return None
    if (match := _RUN.search(first)) and match[1] == os.environ.get("MLFLOW_RUN_ID"):
        return UserError(
            f"MLFLOW_RUN_ID names a run that MLflow does not have: {first}",
            code="tracking-run-unknown",
            hint="unset MLFLOW_RUN_ID, or set it to a run of this store",
        )
    if (match := _EXPERIMENT.search(first)) and match[1] == os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return UserError(
            f"MLFLOW_EXPERIMENT_ID names an experiment that MLflow does not have: {first}",
            code="tracking-experiment-unknown",
            hint="unset MLFLOW_EXPERIMENT_ID, or set MLFLOW_EXPERIMENT_NAME, which is made when "
            "it is missing",
        )
    return None


def deleted_run(run_id: str, said: str) -> UserError:
    """Of a run in MLflow's trash."""
    return UserError(
        f"the run in MLflow was deleted: {said}",
        code="tracking-run-unknown",
        hint=f"restore it: `mlflow runs restore --run-id {run_id}`, or unset MLFLOW_RUN_ID",
    )


def _deleted(said: str) -> UserError:
    """Of `The experiment 3 must be ...` and `The run 0a1b must be ...`."""
    if match := _EXPERIMENT.search(said):
        return UserError(
            f"the experiment in MLflow was deleted: {said}",
            code="tracking-experiment-deleted",
            hint=f"restore it: `mlflow experiments restore --experiment-id {match[1]}`, or set "
            "MLFLOW_EXPERIMENT_NAME to another name",
        )
    match = _RUN.search(said)
    return deleted_run(match[1] if match else "ID", said)


def _credentials() -> str:
    if os.environ.get(_USER) and os.environ.get(_PASSWORD):  # the client prefers these
        return f"those in {_USER} and {_PASSWORD}"
    if os.environ.get(_TOKEN):
        return f"the token in {_TOKEN}"
    return f"none are set in {_TOKEN}, or {_USER} and {_PASSWORD}"


def _sentence(answer: "Response") -> str:
    """The server's message, else the words of its page, in one line."""
    content = _object(answer) or {}
    text = str(content.get("message") or "") or re.sub(
        r"<(script|style)\b.*?</\1>|<[^>]*>", " ", answer.text, flags=re.DOTALL | re.IGNORECASE
    )
    return without_secrets(" ".join(text.split()))[:_MOST_CHARACTERS]


def _object(answer: "Response") -> dict[str, object] | None:
    try:
        content = json.loads(answer.text or "{}")
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
