"""Errors of a Kubeflow Pipelines server and of the connection to it."""

import json
import re
from typing import Any

from decant.runtime.errors import UserError

_MAX_CHARACTERS = 400
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ClusterError(UserError):
    """The server did not fulfil a request."""


class Unavailable(ClusterError):
    """No answer, or a temporary error: a later attempt can succeed."""


class AccessDenied(ClusterError):
    """Credentials are missing, refused or not sufficient."""


class NotFound(ClusterError):
    """The server does not have the object."""


class AlreadyExists(ClusterError):
    """An object of this name exists, perhaps created a moment ago by another client."""


def message_of(body: object) -> str:
    """The error in the server's answer as one line: the message of JSON, nothing of a web page.

    The API answers `{"code", "message", "details": [{"message"}]}`, where the details are meant for
    users; its upload and log endpoints answer `{"error_message", "error_details"}`.
    """
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        content = json.loads(text)
    except ValueError:
        return "" if text.lstrip().startswith("<") else one_line(text)
    if not isinstance(content, dict):
        return one_line(text)
    message = content.get("message") or content.get("error_message") or content.get("error") or text
    return one_line(str(message), _for_users(content.get("details")))


def one_line(text: str, prefer: str = "") -> str:
    """The text without control characters and line breaks, cut after 400 characters."""
    chosen = prefer if prefer and len(prefer) < len(text) else text
    line = " ".join(printable(chosen).split())
    return line if len(line) <= _MAX_CHARACTERS else f"{line[: _MAX_CHARACTERS - 1]}…"


def printable(text: str) -> str:
    """The text without escape sequences and control characters, with its lines."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def _for_users(details: Any) -> str:
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and detail.get("message"):
            return str(detail["message"])
    return ""
