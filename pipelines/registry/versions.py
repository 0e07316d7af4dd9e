"""Versions of registered models in the tracking store, found by the user's references."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from requests.exceptions import RequestException

from decant.runtime.errors import UserError
from decant.runtime.secrets import shown_uri
from decant.tracking.lasting_causes import lasting_cause
from decant.tracking.mlflow_store import first_line, open_client, store_exists, tracking_uri
from decant.tracking.model_reference import ModelReference

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.store.entities import PagedList
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

# Of the registered model that holds the history of another one (see promotion_history).
HISTORY_SUFFIX = ".promotions"

_ALIAS = re.compile(r"[\w\-]{1,255}")


def check_alias(alias: str) -> None:
    """Raises UserError for an alias that MLflow would refuse, but only later."""
    if not _ALIAS.fullmatch(alias):
        raise UserError(
            f"'{alias}' is not a valid alias",
            code="alias-invalid",
            hint="write letters, digits, _ and -, up to 255 of them",
        )
    if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
        raise UserError(
            f"the alias '{alias}' is reserved by MLflow",
            code="alias-invalid",
            hint="give another: `latest` and `v1`, `v2`, ... cannot be moved",
        )


@contextmanager
def registry() -> Iterator["MlflowClient"]:
    """A client of the tracking store; errors of the store become one line.

    Raises UserError when there is no store yet, it does not answer, or it refuses.
    """
    store = tracking_uri()
    shown = shown_uri(store)
    if not store_exists():
        raise UserError(
            f"there is no tracking store at {shown} yet",
            code="tracking-store-missing",
            hint="register a model with `dvc repro`, or set MLFLOW_TRACKING_URI",
        )
    try:
        client = open_client()
    except UserError:
        raise
    except Exception as error:  # each kind of store has its own
        raise _store_error(shown, error) from None
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(store)
    try:
        yield client
    except (MlflowException, RequestException) as error:
        raise _store_error(shown, error) from None


def find_version(client: "MlflowClient", reference: ModelReference) -> "ModelVersion":
    """MLflow's model version; the newest where the reference does not say which.

    Raises UserError that lists the existing ones.
    """
    versions = versions_of(client, reference.name)
    if not versions:
        raise UserError(
            f"{reference.name} has no versions",
            code="model-version-unknown",
            hint="register one: `dvc repro`",
        )
    if not reference.says_which:
        return versions[0]
    for version in versions:
        by_alias = reference.alias and reference.alias in version.aliases
        if by_alias or str(version.version) == reference.version:
            return version
    there = ", ".join(str(version.version) for version in versions)
    raise UserError(
        f"there is no {reference}",
        code="model-version-unknown",
        hint=f"versions of {reference.name}: {there}",
    )


def versions_of(client: "MlflowClient", name: str) -> "list[ModelVersion]":
    """All versions with their aliases, the newest first. Raises UserError for an unknown model."""
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        known = ", ".join(model_names(client)) or "none"
        raise UserError(
            f"there is no registered model '{name}'",
            code="model-unknown",
            hint=f"registered models: {known}",
        ) from None
    found = list(_pages(client.search_model_versions, f"name = '{name}'"))
    of_version: dict[str, list[str]] = {}
    for alias, version in model.aliases.items():
        of_version.setdefault(str(version), []).append(alias)
    for version in found:
        version.aliases = sorted(of_version.get(str(version.version), []))
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def model_names(client: "MlflowClient") -> list[str]:
    """Registered models, without the histories that are kept beside them."""
    names = [str(model.name) for model in _pages(client.search_registered_models)]
    return [name for name in names if not name.endswith(HISTORY_SUFFIX)]


def version_with_alias(client: "MlflowClient", name: str, alias: str) -> str | None:
    """The number of the version that has the alias."""
    version = client.get_registered_model(name).aliases.get(alias)
    return None if version is None else str(version)


def _pages(search: "Callable[..., PagedList[T]]", *arguments: str) -> Iterator[T]:
    token = None
    while True:
        page = search(*arguments, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _store_error(shown: str, error: Exception) -> UserError:
    return lasting_cause(error) or UserError(
        f"MLflow at {shown}: {first_line(error)}",
        code="tracking-failed",
        hint="check MLFLOW_TRACKING_URI and the server; nothing is lost, run this again",
    )
