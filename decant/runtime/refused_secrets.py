"""Refuses secrets in parameters, which are written to cards, dvc.lock, MLflow and packages."""

from collections.abc import Iterator, Mapping
from typing import Any

from decant.runtime.errors import UserError
from decant.runtime.secrets import holds_secret, without_secrets

HINT = (
    "leave credentials out of the address: s3://, gs:// and az:// clients, git and "
    "`hf auth login` have their own files and variables, FSSPEC_HTTP gives headers to http(s)://, "
    "on a cluster a profile's env_from_secrets sets them; what only a signed address gives, "
    "download, and name the file"
)


def refuse_secrets(value: Any, place: str) -> None:
    """Raises UserError for an address with a secret, in a text or anywhere in lists and mappings.

    Args:
        place: of the value, for the message: `ingest.source`.
    """
    for where, text in _texts(value, place):
        if "://" in text and holds_secret(text):
            raise UserError(
                f"{where}: {without_secrets(text)} has a password, a token or a signature, which "
                "would be written to every artifact",
                code="secret-exposed",
                hint=HINT,
            )


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{place}.{index}")
