"""A Kubeflow Pipelines server on loopback: HTTP, credentials, and the troubles of real ones."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.pipelines.kfp_api import KfpApi
from tests.pipelines.kfp_validation import Refusal

API = "/apis/v2beta1"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # bytes of the body; then the connection is dropped


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose `METHOD path` matches.

    `answer` is sent instead, or the connection is dropped when it is None; before or, with
    `after_doing`, after the server did what it was asked. `delay_seconds` makes it slow.
    """

    pattern: str
    times: int = 1
    answer: Answer | None = None
    delay_seconds: float = 0.0
    after_doing: bool = False
    is_only_slow: bool = False


@dataclass
class KfpServer:
    """The running server.

    Attributes:
        api: the store and its calls.
        tokens: bearer tokens that are let in; None lets in everyone.
        gate: looks at a request before the API; its answer is sent instead.
    """

    url: str = ""
    api: KfpApi = field(default_factory=KfpApi)
    tokens: set[str] | None = None
    gate: Callable[[Request], Answer | None] = lambda request: None
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fail(self, pattern: str, answer: Answer | None = None, **options: Any) -> None:
        self.faults.append(Fault(pattern, answer=answer, **options))

    def count(self, pattern: str) -> int:
        return sum(bool(re.search(pattern, f"{one.method} {one.path}")) for one in self.requests)

    def respond(self, request: Request) -> Answer | None:
        """The answer, or None for a dropped connection."""
        fault = self._take_fault(request)
        if fault and fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault and not fault.after_doing and not fault.is_only_slow:
            return fault.answer
        if answer := self.gate(request):
            return answer
        with self.lock:
            answer = self._authorised(request)
        return fault.answer if fault and fault.after_doing else answer

    def _take_fault(self, request: Request) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, f"{request.method} {request.path}"):
                    fault.times -= 1
                    return fault
        return None

    def _authorised(self, request: Request) -> Answer:
        if self.tokens is not None:
            _, _, token = request.headers.get("authorization", "").partition("Bearer ")
            if token not in self.tokens:
                return as_json({"error": f"token {token} is not valid"}, 401)
        try:
            return as_json(self._route(request))
        except Refusal as refusal:
            return as_json(refusal.body, refusal.status)

    def _route(self, request: Request) -> Any:
        api, query = self.api, request.query
        kind = request.headers.get("content-type", "")
        match (request.method, *request.path.removeprefix(f"{API}/").split("/")):
            case ("GET", "healthz"):
                return api.healthz()
            case ("POST", "pipelines"):
                return api.create_pipeline(request.json)
            case ("GET", "pipelines"):
                return api.page(api.pipelines, "pipelines", query)
            case ("POST", "pipelines", "upload"):
                return api.upload(query, request.body, kind)
            case ("POST", "pipelines", "upload_version"):
                return api.upload_version(query, request.body, kind)
            case ("GET", "pipelines", "names", name):
                return api.pipeline_by_name(unquote(name), query)
            case ("GET", "pipelines", pipeline_id, "versions"):
                found = [one for one in api.versions if one["pipeline_id"] == pipeline_id]
                return api.page(found, "pipeline_versions", query)
            case ("GET", "pipelines", pipeline_id, "versions", version_id):
                return api.version(pipeline_id, version_id)
            case ("POST", "experiments"):
                return api.create_experiment(request.json)
            case ("GET", "experiments"):
                return api.page(api.experiments, "experiments", query)
            case ("POST", "runs"):
                return api.create_run(request.json)
            case ("GET", "runs"):
                return api.page(api.runs, "runs", query)
            case ("GET", "runs", run_id):
                return api.run(run_id)
            case ("POST", "runs", call) if call.endswith(":terminate"):
                return api.terminate(call.partition(":")[0])
            case ("POST", "recurringruns"):
                return api.create_schedule(request.json)
            case ("GET", "recurringruns"):
                return api.page(api.schedules, "recurringRuns", query)
            case ("GET", "recurringruns", schedule_id):
                return api.schedule(schedule_id)
            case ("POST", "recurringruns", call) if call.endswith((":enable", ":disable")):
                schedule_id, _, verb = call.partition(":")
                return api.switch_schedule(schedule_id, verb == "enable")
            case ("DELETE", "recurringruns", schedule_id):
                return api.delete_schedule(schedule_id, query)
            case ("GET", "", "apis", "v1beta1", "runs", run_id):
                return api.run_of_version_1(run_id)
            case ("GET", "", "apis", "v1alpha1", "runs", _, "nodes", pod, "log"):
                return api.log(unquote(pod))
        raise Refusal(404, f"Not Found: {request.method} {request.path}")


def as_json(content: Any, status: int = 200) -> Answer:
    if isinstance(content, str):
        return Answer(status, content.encode(), {"Content-Type": "text/plain"})
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def as_page(html: str, status: int = 200, **headers: str) -> Answer:
    return Answer(status, html.encode(), {"Content-Type": "text/html; charset=utf-8", **headers})


def redirect(target: str, status: int = 302, **headers: str) -> Answer:
    return Answer(status, b"", {"Location": target, **headers})


@contextmanager
def serving(server: KfpServer, *, tls: Any = None) -> Iterator[KfpServer]:
    """Run the server on a free port of 127.0.0.1; with an SSLContext, encrypted."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            with server.lock:
                server.requests.append(request)
            answer = server.respond(request)
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.cut_after])
            if answer.cut_after is not None:
                self.close_connection = True

        do_GET = do_POST = do_DELETE = do_HEAD = _serve

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet: the test's output is looked at."""

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, ValueError, OSError):  # dropped on purpose, or by the client
                self.close_connection = True

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust the certificate, say, is no concern of the test."""

    listener = Quiet(("127.0.0.1", 0), Handler)
    if tls:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True)
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
