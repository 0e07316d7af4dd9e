"""Credentials for the server. They come from files and the environment, never from arguments.

| mode | what is sent | where it comes from |
|---|---|---|
| none | nothing | a server without authentication, such as a port forward |
| token | a bearer token | --token-file, else DECANT_KFP_TOKEN |
| in-cluster | a service account's token | the projected file in KF_PIPELINES_SA_TOKEN_PATH |
| dex | a session's cookies | a login with DECANT_KFP_USERNAME and DECANT_KFP_PASSWORD |

`auto` takes the first of token, dex, in-cluster whose source exists, else none. Files are read for
every request, since tokens expire and the kubelet replaces them; an expired session is opened
again.
"""

import os
from pathlib import Path
from typing import Protocol

from decant.runtime.errors import UserError
from pipelines.kubeflow.dex import DexSession

AUTH_MODES = ("auto", "none", "token", "in-cluster", "dex")
TOKEN_VARIABLE = "DECANT_KFP_TOKEN"
USER_VARIABLE = "DECANT_KFP_USERNAME"
PASSWORD_VARIABLE = "DECANT_KFP_PASSWORD"

# As in kfp.client, whose import takes more than a second.
SERVICE_ACCOUNT_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"
SERVICE_ACCOUNT_FILE = "/var/run/secrets/kubeflow/pipelines/token"

HOW_TO_LOG_IN = (
    f"set {TOKEN_VARIABLE} or --token-file, or {USER_VARIABLE} and {PASSWORD_VARIABLE} for Dex"
)


class Credentials(Protocol):
    """The credentials of a request. Their representation shows no secret.

    Attributes:
        mode: one of AUTH_MODES, not auto.
        source: where the secret comes from, for messages.
        hint: what to do when the server refuses these credentials.
    """

    mode: str
    source: str
    hint: str

    def headers(self, url: str) -> dict[str, str]:
        """Headers of a request to the URL. Raises UserError when the secret cannot be read."""

    def renew(self) -> bool:
        """After a refusal: whether there are newer credentials than those sent last."""

    def secrets(self) -> set[str]:
        """What was sent and must not be shown."""


class NoCredentials:
    mode = "none"
    source = "no credentials"
    hint = HOW_TO_LOG_IN

    def headers(self, url: str) -> dict[str, str]:
        return {}

    def renew(self) -> bool:
        return False

    def secrets(self) -> set[str]:
        return set()


class BearerToken:
    """A token from a file, read for every request, or from the environment."""

    def __init__(self, mode: str, file: Path | None, hint: str) -> None:
        self.mode = mode
        self.file = file
        self.source = f"the token in {file or TOKEN_VARIABLE}"
        self.hint = hint
        self._sent: set[str] = set()

    def headers(self, url: str) -> dict[str, str]:
        token = self._read()
        self._sent.add(token)
        return {"Authorization": f"Bearer {token}"}

    def renew(self) -> bool:
        return self._read() not in self._sent

    def secrets(self) -> set[str]:
        return set(self._sent)

    def _read(self) -> str:
        if self.file is None:
            token = os.environ.get(TOKEN_VARIABLE, "").strip()
        else:
            try:
                token = self.file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "no text"
                raise UserError(
                    f"cannot read {self.source}: {reason}",
                    code="credentials-invalid",
                    hint=self.hint,
                ) from None
        if not token:
            raise UserError(f"{self.source} is empty", code="credentials-missing", hint=self.hint)
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise UserError(
                f"{self.source} is not a token: it must be one word",
                code="credentials-invalid",
                hint=self.hint,
            )
        return token


def find_credentials(
    mode: str, *, host: str, token_file: Path | None = None, ca: Path | None = None
) -> Credentials:
    """The credentials of a mode; raises UserError when their source is missing."""
    if mode == "auto":
        mode = _detect(token_file)
    elif token_file and mode != "token":
        raise UserError(
            f"--token-file cannot be used with --auth {mode}",
            code="option-conflict",
            hint="use --auth token",
        )
    match mode:
        case "token":
            if not token_file and not os.environ.get(TOKEN_VARIABLE):
                raise UserError(
                    "--auth token needs a token",
                    code="credentials-missing",
                    hint=f"set {TOKEN_VARIABLE} or --token-file",
                )
            return BearerToken(
                "token",
                token_file,
                "get a new one, such as with `kubectl create token ACCOUNT -n NAMESPACE "
                "--audience pipelines.kubeflow.org`",
            )
        case "in-cluster":
            return BearerToken(
                "in-cluster",
                _service_account_file(),
                "mount a projected token with audience pipelines.kubeflow.org into the pod, "
                f"and set {SERVICE_ACCOUNT_VARIABLE} to its path",
            )
        case "dex":
            user, password = (
                os.environ.get(name, "") for name in (USER_VARIABLE, PASSWORD_VARIABLE)
            )
            if not user or not password:
                raise UserError(
                    "--auth dex needs a user and a password",
                    code="credentials-missing",
                    hint=f"set {USER_VARIABLE} and {PASSWORD_VARIABLE}",
                )
            return DexSession(host, user, password, ca=ca)
        case _:
            return NoCredentials()


def _detect(token_file: Path | None) -> str:
    if token_file or os.environ.get(TOKEN_VARIABLE):
        return "token"
    if os.environ.get(USER_VARIABLE) and os.environ.get(PASSWORD_VARIABLE):
        return "dex"
    return "in-cluster" if _service_account_file().is_file() else "none"


def _service_account_file() -> Path:
    return Path(os.environ.get(SERVICE_ACCOUNT_VARIABLE) or SERVICE_ACCOUNT_FILE)
