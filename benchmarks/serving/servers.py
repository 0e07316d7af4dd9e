"""The programs that are measured, each as its users start it, on a free port of 127.0.0.1."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT

PROGRAM = PROJECT / "docker" / "serve.py"
_START_SECONDS, _END_SECONDS = 120.0, 30.0
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DRAIN_SECONDS": "0", "GIT_PYTHON_REFRESH": "quiet"}
_HEAD = (
    b"POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n"
)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A way to ask for the answer to one text."""

    path: str
    body: Callable[[str], Mapping[str, object]]

    def request(self, text: str) -> bytes:
        body = json.dumps(self.body(text)).encode()
        return _HEAD % (self.path.encode(), len(body)) + body


TABLE = Form(
    path="/invocations",
    body=lambda text: {"dataframe_split": {"columns": ["text"], "data": [[text]]}},
)
# More than texts: the image's program leaves it to MLflow.
WIDE_TABLE = Form(
    path="/invocations",
    body=lambda text: {"dataframe_split": {"columns": ["id", "text"], "data": [[1, text]]}},
)
TENSOR = Form(
    path="/v2/models/model/infer",
    body=lambda text: {
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]
    },
)


def mlflow_server(folder: Path, port: int) -> Sequence[str]:
    """`mlflow models serve` of a model's folder."""
    options = {"--model-uri": str(folder), "--env-manager": "local", "--host": "127.0.0.1"}
    given = [word for pair in options.items() for word in pair]
    return [sys.executable, "-m", "mlflow", "models", "serve", *given, "--port", str(port)]


def image_program(file: Path) -> Callable[[Path, int], Sequence[str]]:
    """The `serve` image's program, of this or another version of the project."""
    return lambda folder, port: [sys.executable, str(file)]


@contextmanager
def serving(
    start: Callable[[Path, int], Sequence[str]], folder: Path, ready: Form
) -> Iterator[int]:
    """The port of a server, once it answers such a request.

    Raises UserError, with the last lines of its log, when it does not.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    given = {"MODEL_URI": str(folder), "MODEL_NAME": "model", "HOST": "127.0.0.1"}
    # MLflow starts `uvicorn` by its name.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, **_QUIET, **given, "PORT": str(port), "PATH": path}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            start(folder, port), env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(port, ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    lines = os.pread(log.fileno(), 1 << 20, 0).decode("utf-8", "replace")
                    raise UserError(
                        f"the server did not start:\n{lines[-2000:].strip()}",
                        code="benchmark-failed",
                    )
                time.sleep(0.2)
            yield port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # MLflow's has another process below it
            process.wait(_END_SECONDS)


def _answers(port: int, form: Form) -> bool:
    body = json.dumps(form.body("a text")).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{form.path}", body, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
