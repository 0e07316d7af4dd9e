"""The options for the server and its credentials."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from decant.runtime.errors import UserError
from decant.runtime.secrets import holds_secret

if TYPE_CHECKING:
    from pipelines.kubeflow.connection import Connection

IN_CLUSTER_HOST = "http://ml-pipeline.kubeflow.svc.cluster.local:8888"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    host: str | None
    namespace: str | None
    auth: str
    token_file: Path | None
    ca: Path | None

    @property
    def is_given(self) -> bool:
        return bool(self.host or _is_in_cluster())

    def connect(self) -> "Connection":
        """Open the connection.

        Raises UserError for a bad address or missing credentials, ClusterError for a server that
        does not answer or refuses the credentials.
        """
        from pipelines.kubeflow.authentication import find_credentials
        from pipelines.kubeflow.connection import open_connection

        host = clean_host(self.host)
        credentials = find_credentials(self.auth, host=host, token_file=self.token_file, ca=self.ca)
        if is_readable_on_the_way(host) and credentials.mode in ("token", "dex"):
            click.echo(
                f"warning: {credentials.source} goes to {urlsplit(host).netloc} without encryption",
                err=True,
            )
        return open_connection(
            host,
            credentials,
            namespace=self.namespace or _own_namespace(),
            ui_host=clean_host(os.environ.get("KF_PIPELINES_UI_ENDPOINT") or host),
            ca=self.ca,
        )


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as `server: ServerOptions`."""

    @click.option(
        "--host",
        envvar=["DECANT_KFP_HOST", "KF_PIPELINES_ENDPOINT"],
        help="The pipelines' API, such as https://kubeflow.example.org/pipeline "
        "[DECANT_KFP_HOST; in a cluster its own]. Links lead there, or to "
        "KF_PIPELINES_UI_ENDPOINT.",
    )
    @click.option(
        "--namespace",
        envvar="DECANT_KFP_NAMESPACE",
        help="On a multi-user server: the namespace of the runs [DECANT_KFP_NAMESPACE].",
    )
    @click.option(
        "--auth",
        type=click.Choice(["auto", "none", "token", "in-cluster", "dex"]),
        default="auto",
        show_default=True,
        help="token: --token-file or DECANT_KFP_TOKEN; dex: a login with DECANT_KFP_USERNAME and "
        "DECANT_KFP_PASSWORD; in-cluster: the service account's projected token "
        "[KF_PIPELINES_SA_TOKEN_PATH]; auto: the first of token, dex, in-cluster that exists.",
    )
    @click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="A file with a bearer token; read for every request.",
    )
    @click.option(
        "--ca",
        type=click.Path(path_type=Path),
        help="Certificates (PEM) of the authority that signed the server's.",
    )
    @functools.wraps(command)
    def with_server(
        *,
        host: str | None,
        namespace: str | None,
        auth: str,
        token_file: Path | None,
        ca: Path | None,
        **others: Any,
    ) -> Any:
        server = ServerOptions(
            host=host, namespace=namespace, auth=auth, token_file=token_file, ca=ca
        )
        return command(server=server, **others)

    return with_server


def clean_host(host: str | None) -> str:
    """The address without the fragment of a page and without a slash at the end.

    Raises UserError for another than an http(s) address, and for a password in it.
    """
    if not host and _is_in_cluster():
        return IN_CLUSTER_HOST
    if not host:
        raise UserError(
            "no server is given",
            code="option-missing",
            hint="give --host URL or set DECANT_KFP_HOST",
        )
    try:
        parts = urlsplit(host)
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        well_formed = False
    if holds_secret(host if "://" in host else f"https://{host}"):
        raise UserError(
            "--host has a password or a token, which others could read",
            code="secret-exposed",
            hint="set DECANT_KFP_USERNAME and DECANT_KFP_PASSWORD instead",
        )
    if not well_formed:
        raise UserError(
            f"--host {host} is not a valid address",
            code="option-value",
            hint="write https://... or http://...",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_readable_on_the_way(host: str) -> bool:
    """Whether requests leave this machine, or the cluster, without encryption."""
    parts = urlsplit(host)
    name = parts.hostname or ""
    return parts.scheme == "http" and name not in _LOOPBACK and not name.endswith(".local")


def _is_in_cluster() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _own_namespace() -> str:
    """A pod's own namespace; empty elsewhere."""
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else ""
