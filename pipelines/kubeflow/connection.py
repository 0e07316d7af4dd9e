"""A connection to a Kubeflow Pipelines server, through the REST client that kfp includes.

`kfp.Client` is not suitable for a command: it sets no timeouts and so
waits for ever, prints links, writes ~/.config/kfp/context.json, answers a dead server with five
tracebacks, and drops `enable_caching` where a pipeline version is run.
"""

import codecs
import json
import logging
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from kfp_server_api import (
    ApiClient,
    ApiException,
    Configuration,
    ExperimentServiceApi,
    PipelineServiceApi,
    PipelineUploadServiceApi,
    RecurringRunServiceApi,
    RunServiceApi,
)
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError

from decant.runtime.errors import UserError
from decant.runtime.secrets import without_secrets
from pipelines.kubeflow.api_errors import (
    AccessDenied,
    AlreadyExists,
    ClusterError,
    NotFound,
    Unavailable,
    message_of,
    one_line,
)
from pipelines.kubeflow.authentication import Credentials

TIMEOUTS_SECONDS = (10, 30)  # to connect, to answer
PAGE_SIZE = 100
_PART_BYTES = 1 << 16
_BLOCK_CHARACTERS = 1 << 16
_TRANSIENT = frozenset({429, 500, 502, 503, 504})

# Short outages are retried here. A POST that may have arrived is not sent again.
RETRY = urllib3.Retry(
    total=3,
    redirect=False,
    status_forcelist={429, 502, 503, 504},
    allowed_methods={"GET"},
    backoff_factor=0.5,
    retry_after_max=30,
    raise_on_status=False,
)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The services of one server.

    Attributes:
        host: the API's address, without a slash at the end.
        ui_host: the address of its web pages.
        namespace: of runs and pipelines; empty on a server for a single user.
        server: the server's own description: `tag_name` (its version), `multi_user`.

    Every call raises AccessDenied, NotFound, AlreadyExists, Unavailable or ClusterError.
    """

    host: str
    ui_host: str
    credentials: Credentials
    client: "Client"
    namespace: str = ""
    server: dict[str, Any]

    @cached_property
    def runs(self) -> Any:
        return RunServiceApi(self.client)

    @cached_property
    def schedules(self) -> Any:
        return RecurringRunServiceApi(self.client)

    @cached_property
    def experiments(self) -> Any:
        return ExperimentServiceApi(self.client)

    @cached_property
    def pipelines(self) -> Any:
        return PipelineServiceApi(self.client)

    @cached_property
    def uploads(self) -> Any:
        return PipelineUploadServiceApi(self.client)

    def run_link(self, run_id: str) -> str:
        return f"{self.ui_host}/#/runs/details/{run_id}"

    def schedule_link(self, schedule_id: str) -> str:
        return f"{self.ui_host}/#/recurringrun/details/{schedule_id}"


class Client(ApiClient):
    """kfp's generated client, with timeouts, retries, renewed credentials, and our errors."""

    def __init__(self, host: str, credentials: Credentials, *, ca: Path | None = None) -> None:
        configuration = Configuration(host=host)
        configuration.retries = RETRY
        configuration.ssl_ca_cert = str(ca) if ca else None
        if proxy := requests.utils.select_proxy(host, requests.utils.get_environ_proxies(host)):
            configuration.proxy = proxy
            configuration.proxy_headers = requests.adapters.HTTPAdapter().proxy_headers(proxy)
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # a warning for every retry
        super().__init__(configuration)
        self.credentials = credentials

    def request(
        self, method: str, url: str, headers: dict[str, str] | None = None, **options: Any
    ) -> Any:
        """Send a request; every call of the API uses this method."""
        carried = self.credentials.headers(url)
        try:
            return self._send(method, url, {**(headers or {}), **carried}, options)
        except AccessDenied:
            if not self.credentials.renew():
                raise
        carried = self.credentials.headers(url)
        return self._send(method, url, {**(headers or {}), **carried}, options)

    def call_api(self, *arguments: Any, **options: Any) -> Any:
        """Send a request of the generated client, and make its objects of the answer."""
        try:
            return super().call_api(*arguments, **options)
        except (ApiException, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ClusterError(
                f"{self._shown_host} answers in a form that is not known: "
                f"{one_line(without_secrets(str(error), self.credentials.secrets()))}",
                code="cluster-foreign",
                hint="decant doctor compares the versions of server and client",
            ) from None

    def deserialize(self, response: Any, response_type: str) -> Any:
        """As the generated client does it, but of a broken answer it would make an empty object."""
        try:
            json.loads(response.data)
        except ValueError:
            if response_type != "object":  # of which nobody reads anything
                raise self._half_an_answer() from None
        return super().deserialize(response, response_type)

    def text(self, path: str, max_bytes: int) -> str:
        """The end of a plain text that the server returns for a path."""
        tail = b""
        try:
            for part in self._parts(path):
                tail = (tail + part)[-max_bytes:]
        except Unavailable:
            if not tail:
                raise
        return tail.decode("utf-8", "replace")

    def blocks(self, path: str) -> Iterator[str]:
        """A plain text that the server returns for a path, in blocks of whole lines.

        A line that is longer than a block is cut. Raises Unavailable, after what came, where the
        server ends the text early.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest, problem = "", None
        try:
            for part in self._parts(path):
                rest += decoder.decode(part)
                if len(rest) >= _BLOCK_CHARACTERS:
                    block, end, after = rest.rpartition("\n")
                    yield block if end else after
                    rest = after if end else ""
        except Unavailable as error:
            problem = error
        if rest:
            yield rest.removesuffix("\n")
        if problem:
            raise problem

    def _parts(self, path: str) -> Iterator[bytes]:
        answer = self.request("GET", f"{self.configuration.host}{path}", _preload_content=False)
        try:
            while part := answer.read1(_PART_BYTES):  # what came before the end is not lost
                yield part
        except HTTPError:
            raise self._half_an_answer() from None
        finally:
            answer.release_conn()

    def _send(self, method: str, url: str, headers: dict[str, str], options: dict[str, Any]) -> Any:
        try:
            answer = super().request(
                method,
                url,
                headers=headers,
                **{**options, "_request_timeout": TIMEOUTS_SECONDS},
            )
        except ApiException as error:
            raise self._refusal(error.status, error.body, error.headers or {}) from None
        except LocationParseError:
            raise UserError(
                f"--host {self._shown_host} is not a valid address", code="option-value"
            ) from None
        except HTTPError as error:
            raise self._silence(error) from None
        if "text/html" in (_header(answer, "content-type") or ""):
            raise self._web_page()
        return answer

    @property
    def _shown_host(self) -> str:
        host: str = self.configuration.host
        return urlsplit(host).netloc

    def _refusal(self, status: int, body: object, headers: Any) -> ClusterError:
        message = without_secrets(message_of(body), self.credentials.secrets())
        answer = f"{self._shown_host} answered HTTP {status}{f': {message}' if message else ''}"
        if status in (301, 302, 303, 307, 308):
            return self._redirection(str(headers.get("location", "")))
        if status == 401:
            return AccessDenied(
                f"{self._shown_host} refuses {self.credentials.source} (HTTP 401)",
                code="cluster-access-denied",
                hint=self.credentials.hint,
            )
        if status == 403:
            return AccessDenied(
                f"{self.credentials.source}: not allowed to do this (HTTP 403)"
                f"{f': {message}' if message else ''}",
                code="cluster-access-denied",
                hint=self.credentials.hint
                if self.credentials.mode == "none"
                else "check --namespace; its owner can give this account the role kubeflow-edit",
            )
        if status == 404:
            return NotFound(answer, code="cluster-not-found")
        if status == 409:
            return AlreadyExists(answer, code="cluster-already-exists")
        return (
            Unavailable(answer, code="cluster-unavailable")
            if status in _TRANSIENT
            else ClusterError(answer, code="cluster-refused")
        )

    def _half_an_answer(self) -> Unavailable:
        problem = f"{self._shown_host} ended the answer early"
        return Unavailable(problem, code="cluster-unavailable")

    def _redirection(self, target: str) -> ClusterError:
        here, there = urlsplit(self.configuration.host), urlsplit(target)
        if there.scheme == "https" and here.scheme == "http" and there.hostname == here.hostname:
            return ClusterError(
                f"{self._shown_host} requires encryption",
                code="option-value",
                hint=f"--host https://{there.netloc}",
            )
        return self._web_page()

    def _web_page(self) -> AccessDenied:
        return AccessDenied(
            f"{self._shown_host} answers with a web page, such as a login, not as the pipelines' "
            f"API (sent: {self.credentials.source})",
            code="cluster-access-denied",
            hint=f"{self.credentials.hint}; or --host is not the API's address, "
            "which often ends in /pipeline",
        )

    def _silence(self, error: Exception) -> ClusterError:
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        if isinstance(cause, urllib3.exceptions.SSLError):
            reason = getattr(cause.args[0], "verify_message", "") if cause.args else ""
            return ClusterError(
                f"no encrypted connection to {self._shown_host}: {reason or one_line(str(cause))}",
                code="certificate-untrusted",
                hint="give the certificate of its authority with --ca FILE",
            )
        reason = one_line(without_secrets(_reason(cause), self.credentials.secrets()))
        return Unavailable(
            f"no answer from {self._shown_host}: {reason}",
            code="cluster-unavailable",
            hint="check --host and the network",
        )


def open_connection(
    host: str,
    credentials: Credentials,
    *,
    namespace: str = "",
    ui_host: str = "",
    ca: Path | None = None,
) -> Connection:
    """Read the server's description and make the connection ready for calls.

    Raises ClusterError when it does not answer as the pipelines' API does, UserError when it needs
    a namespace.
    """
    if ca:
        _check_ca(ca)
    client = Client(host, credentials, ca=ca)
    server = _server_facts(client)
    if not server["multi_user"]:
        namespace = ""  # some versions refuse one
    elif not namespace:
        raise UserError(
            f"{urlsplit(host).netloc} is shared by namespaces",
            code="option-missing",
            hint="give --namespace NAME",
        )
    return Connection(
        host=host,
        ui_host=ui_host or host,
        credentials=credentials,
        client=client,
        namespace=namespace,
        server=server,
    )


def every(list_page: Callable[..., Any], field: str, **options: Any) -> Iterator[Any]:
    """All items of a list call, page after page."""
    token = ""
    while True:
        page = list_page(page_token=token, page_size=PAGE_SIZE, **options)
        yield from getattr(page, field) or []
        token = page.next_page_token or ""
        if not token:
            return


def named(name: str) -> str:
    """The filter of a list call for a display name."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [predicate]})


def _server_facts(client: Client) -> dict[str, Any]:
    """`tag_name` and `multi_user`, which the API and its UI name differently."""
    url = f"{client.configuration.host}/apis/v2beta1/healthz"
    try:
        answer = json.loads(client.request("GET", url).data)
    except (ValueError, NotFound):
        answer = None
    if not isinstance(answer, dict):
        raise ClusterError(
            f"{urlsplit(client.configuration.host).netloc} is not a server of Kubeflow Pipelines 2",
            code="cluster-foreign",
            hint="--host is the API's address, which often ends in /pipeline",
        )
    if answer.get("apiServerReady") is False:
        raise Unavailable(
            "the pipelines' web server answers, but the API server behind it does not",
            code="cluster-unavailable",
        )
    return {
        "tag_name": answer.get("tag_name") or answer.get("apiServerTagName") or "",
        "multi_user": bool(answer.get("multi_user") or answer.get("apiServerMultiUser")),
    }


def _check_ca(file: Path) -> None:
    try:
        ssl.create_default_context(cafile=str(file))
    except (OSError, ssl.SSLError):
        raise UserError(
            f"--ca {file} is not a certificate in PEM format", code="certificate-invalid"
        ) from None


def _header(answer: Any, name: str) -> str | None:
    value = answer.headers.get(name) if hasattr(answer, "headers") else answer.getheader(name)
    return str(value).lower() if value else None


def _reason(error: BaseException) -> str:
    """The reason, without addresses of objects in memory."""
    match error:
        case urllib3.exceptions.NameResolutionError():
            return "its name cannot be resolved"
        case urllib3.exceptions.ReadTimeoutError():
            return f"nothing within {TIMEOUTS_SECONDS[1]} s"
        case urllib3.exceptions.NewConnectionError():
            return str(error).rpartition("] ")[2].rpartition(": ")[2] or "no connection"
        case urllib3.exceptions.ConnectTimeoutError():
            return f"no connection within {TIMEOUTS_SECONDS[0]} s"
        case urllib3.exceptions.ProtocolError():
            return "the connection was lost"
    return str(error)
