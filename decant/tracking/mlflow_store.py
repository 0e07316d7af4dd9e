"""Where runs and models are kept: an MLflow server, or the embedded store in the project's root.

Tracking is switched by the environment: DECANT_TRACKING=off, MLFLOW_TRACKING_URI,
MLFLOW_EXPERIMENT_NAME. MLflow is imported only when a client is opened (about 1.5 s per process).
"""

import logging
import os
import sysconfig
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from decant.runtime import identity
from decant.runtime.errors import UserError
from decant.runtime.experiment_copy import original_project
from decant.runtime.secrets import shown_uri, without_secrets
from decant.tracking.embedded_store import make_store
from decant.tracking.lasting_causes import refused_answer
from decant.tracking.sqlite_address import sqlite_file, sqlite_uri

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

REACHABLE_TIMEOUT_SECONDS = 10.0

# By default MLflow retries a dead server for four minutes per call, waits for as long as a server
# requests, and sends telemetry. With these a call ends within about a minute.
_CLIENT_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"


def tracking_is_on() -> bool:
    """Unless DECANT_TRACKING is off."""
    return os.environ.get("DECANT_TRACKING", "on").lower() != "off"


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the embedded store in the project's root.

    Raises UserError on a cluster without a server, where a local store would be lost with the pod.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(store_root() / "mlflow.db")
    if os.environ.get("KUBERNETES_SERVICE_HOST") and _is_local(uri):
        raise UserError(
            f"the tracking store {shown_uri(uri)} is local: it would be lost with the pod",
            code="tracking-local",
            hint="set MLFLOW_TRACKING_URI to a server in the profile, or DECANT_TRACKING=off",
        )
    return uri


def store_exists() -> bool:
    """False for a database file that is not there, which opening it would make."""
    file = sqlite_file(tracking_uri())
    return file is None or file.is_file()


def open_client() -> "MlflowClient":
    """A client of the tracking server or store.

    Raises UserError as `tracking_uri` does and when a server refuses for a cause that lasts (see
    lasting_causes.py), ConnectionError when none answers within REACHABLE_TIMEOUT_SECONDS, and
    what MLflow raises when it cannot open the store.
    """
    uri = tracking_uri()
    is_server = uri.startswith(("http://", "https://"))
    if is_server:
        check_reachable(uri)
    for name, value in _CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    for logger in ("mlflow", "mlflow.store.db.utils", "alembic"):  # "Creating tables...", and such
        logging.getLogger(logger).setLevel(logging.WARNING)
    if is_server:
        _check_answer(uri)
    if file := sqlite_file(uri):
        make_store(file)
    return MlflowClient(uri)


def experiment_name() -> str:
    """MLFLOW_EXPERIMENT_NAME, or decant."""
    return os.environ.get(_EXPERIMENT) or "decant"


def given_experiment_id() -> str:
    """MLFLOW_EXPERIMENT_ID; empty where a name is given, which decides."""
    return "" if os.environ.get(_EXPERIMENT) else os.environ.get("MLFLOW_EXPERIMENT_ID", "")


def experiment_id(client: "MlflowClient", name: str = "") -> str:
    """The id of the experiment of this name, else of the one asked for; created when missing.

    A server has its own place for artifacts; a local store keeps them beside its database.
    """
    if not name and (given := given_experiment_id()):
        return given
    name = name or experiment_name()
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    database, location = sqlite_file(tracking_uri()), None
    if database:
        location = (database.resolve().parent / "mlruns").as_uri()
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except Exception:  # another process created it in the meantime
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        raise


def is_local_store() -> bool:
    """Whether the store is a file or folder of this machine, which answers at once."""
    return _is_local(tracking_uri())


def first_line(error: Exception) -> str:
    """What an error of MLflow says in one line, without secrets."""
    return without_secrets(str(error)).strip().partition("\n")[0]


def store_root() -> Path:
    """The project's root, also from the temporary copy in which `dvc exp run --temp` works.

    Without a project it is the working folder.
    """
    if Path(sysconfig.get_path("purelib")) == identity.PROJECT:  # Decant is installed from a wheel
        return Path.cwd()
    return original_project() or identity.PROJECT


def check_reachable(uri: str) -> None:
    """Raises ConnectionError when nothing answers. An HTTP error is an answer; proxies are used."""
    address = f"{shown_uri(uri).rstrip('/')}/health"
    try:
        with urllib.request.urlopen(address, timeout=REACHABLE_TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError:
        return  # the server is there; the client brings the credentials
    except OSError as error:
        reason = getattr(error, "reason", error)
        if "CERTIFICATE_VERIFY_FAILED" in str(reason):
            return  # the client may have a certificate that Python has not
        host = urlsplit(shown_uri(uri)).netloc
        raise ConnectionError(f"no answer from {host}: {without_secrets(str(reason))}") from None


def _is_local(uri: str) -> bool:
    return uri.startswith(("sqlite:", "sqlite+", "file:")) or "://" not in uri


def _check_answer(uri: str) -> None:
    """Raises UserError when a server refuses for a cause that lasts, such as the credentials.

    Sends one request as MLflow's client does. Other errors show in the calls that follow.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        answer = http_request(
            get_default_host_creds(uri),
            "/api/2.0/mlflow/experiments/search",
            "GET",
            params={"max_results": 1},
            timeout=REACHABLE_TIMEOUT_SECONDS,
            max_retries=0,
        )
    except MlflowException as error:
        raise ConnectionError(without_secrets(str(error))) from None
    if refused := refused_answer(answer, uri):
        raise refused
