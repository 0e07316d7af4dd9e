"""The serve image's program: MLflow's scoring server for one model, in one process.

MODEL_URI   models:/NAME/VERSION or models:/NAME@ALIAS, with MLFLOW_TRACKING_URI; or a folder that
            has a model in MLflow's layout. /model in the image.
PORT        8080 in the image
HOST        0.0.0.0, all addresses, when it is not set
MODEL_NAME  under /v2/models; the registered model's, or the folder's, when it is not set
MAX_CONNECTIONS, MAX_BODIES_BYTES, READ_SECONDS, DRAIN_SECONDS: see serve_limits.py

Routes: /ping, /health, /version, /invocations, as `mlflow models serve` has them; /v2, the Open
Inference Protocol; /ready and /metrics. That command would start a second process and not wait for
its end; here SIGTERM reaches the server itself.

serve_requests.py checks a request before MLflow sees it. An answer has as many predictions as the
request has rows, and an error is a code and a message, never a stack trace.
"""

import asyncio
import contextlib
import gc
import os
import re
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # PYTHONSAFEPATH leaves it out

from serve_app import Requests, Rows
from serve_http import scoring_scope
from serve_limits import Limits
from serve_requests import checked
from serve_v2 import ServedModel

__all__ = ["checked", "scoring_scope"]  # for the tests of what is sent

GRACE_SECONDS = 20  # for the open requests
_SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY")


def main() -> None:
    """Serve until SIGTERM, then answer the open requests, and end with code 0."""
    # The first process of a container ignores the signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    limits = Limits.of_environment()
    import uvicorn
    from mlflow.pyfunc.scoring_server import init
    from serve_protocol import protocol_of

    model = _load(os.environ["MODEL_URI"])
    app = Requests(init(model), limits, _rows_of(model), ServedModel.of_environment())
    gc.collect()
    gc.freeze()  # or a request may wait a third of a second for the collector
    config = uvicorn.Config(
        app,
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ["PORT"]),
        access_log=False,
        http=protocol_of(app.connections),
        loop="uvloop",
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):
        _server(config, app).run()


def is_healthy() -> None:
    """Raises OSError when the server of this container does not answer."""
    urllib.request.urlopen(f"http://127.0.0.1:{os.environ['PORT']}/ping", timeout=2).close()


def _server(config: Any, app: Requests) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """Becomes ready with an answer of the model; after SIGTERM it is not, and goes on a while.

        A second signal ends it at once.
        """

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            self._loop = asyncio.get_running_loop()
            await app.try_out()

        def handle_exit(self, sig: int, frame: Any) -> None:
            is_first = not app.is_ending
            app.is_ending = True
            if sig == signal.SIGTERM and is_first and app.limits.drain_seconds and self.started:
                end = super().handle_exit
                wait = app.limits.drain_seconds
                self._loop.call_soon_threadsafe(self._loop.call_later, wait, end, sig, frame)
            else:
                super().handle_exit(sig, frame)

    return Server(config)


def _load(uri: str) -> object:
    from mlflow.pyfunc import load_model

    try:
        return load_model(uri)
    except Exception as error:  # MLflow's, the network's, the model's
        problem = without_secrets(f"{type(error).__name__}: {error}")
        sys.exit(
            f"error[model-unreadable]: the model {without_secrets(uri)} cannot be loaded: "
            f"{problem}\n"
            "  hint: set MODEL_URI and MLFLOW_TRACKING_URI, or mount a folder with an MLflow model "
            "at /model"
        )


def _rows_of(model: Any) -> Rows | None:
    """How the model answers texts without a table; None of a model of before, or of others."""
    try:
        rows: Rows | None = getattr(model.unwrap_python_model(), "rows", None)
    except Exception:  # of another flavour
        return None
    return rows


def without_secrets(text: str) -> str:
    """Of an address that may have a secret the scheme alone: this program has no more to go by."""
    for name in _SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, "***")
    text = re.sub(r"://(?=\S*[@?#])\S*", "://...", text)
    return re.sub(r"(?<=\S)\?\S*=\S*", "?...", text)  # the path of a request


if __name__ == "__main__":
    is_healthy() if sys.argv[1:] == ["--is-healthy"] else main()
