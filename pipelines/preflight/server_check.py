"""The Kubeflow Pipelines server: reachable, of a suitable version, with our credentials."""

import re
from importlib.metadata import version
from urllib.parse import urlsplit

from pipelines.kubeflow.api_errors import Unavailable
from pipelines.kubeflow.cluster_options import ServerOptions, is_readable_on_the_way
from pipelines.kubeflow.connection import Connection
from pipelines.preflight.check_result import Result
from pipelines.preflight.cluster_address import is_inside_a_cluster

_VERSION = re.compile(r"(\d+)\.(\d+)")


def connect_from_here(server: ServerOptions) -> Connection:
    """Raises as `connect` does; of an address of the cluster that does not answer it says so."""
    try:
        return server.connect()
    except Unavailable as error:
        if not is_inside_a_cluster(urlsplit(server.host or "").hostname or ""):
            raise
        raise Unavailable(
            f"{error.problem}: only the cluster reaches this address; not checked: version and "
            "credentials",
            code="cluster-unavailable",
            hint="give --host the address from outside, or use `kubectl port-forward`",
        ) from None


def check_version(connection: Connection) -> Result:
    """The server must be as new as the SDK that wrote the package."""
    return compare_versions(connection.server["tag_name"], version("kfp"))


def compare_versions(server: str, sdk: str) -> Result:
    name = "server version"
    ours, theirs = _VERSION.search(sdk), _VERSION.search(server)
    if not ours or not theirs:
        return Result(name=name, status="skipped", detail="the server does not report its version")
    (our_major, our_minor), (major, minor) = (
        tuple(map(int, found.groups())) for found in (ours, theirs)
    )
    detail = f"server {server}, SDK {sdk}"
    if major != our_major:
        return Result(
            name=name,
            status="failed",
            detail=detail,
            hint=f"use a server of Kubeflow Pipelines {our_major}",
        )
    if minor < our_minor:
        return Result(
            name=name,
            status="warning",
            detail=f"{detail}: the server is older and may not support all of the package",
            hint="upgrade the server",
        )
    return Result(name=name, status="ok", detail=detail)


def check_credentials(connection: Connection) -> Result:
    """Raises AccessDenied when the experiments may not be listed."""
    connection.experiments.experiment_service_list_experiments(
        page_size=1, namespace=connection.namespace
    )
    where = f" in namespace {connection.namespace}" if connection.namespace else ""
    detail = f"{connection.credentials.mode}: may list experiments{where}"
    mode = connection.credentials.mode
    if mode in ("token", "dex") and is_readable_on_the_way(connection.host):
        return Result(
            name="credentials",
            status="warning",
            detail=f"{detail}, but they go to {urlsplit(connection.host).netloc} unencrypted",
            hint="use https://",
        )
    return Result(name="credentials", status="ok", detail=detail)
