"""What the serve image runs: MLflow's scoring server for one model, in one process.

MODEL_URI   models:/NAME/VERSION or models:/NAME@ALIAS, with MLFLOW_TRACKING_URI; or a folder that
            holds a model as MLflow keeps it. /model in the image.
PORT        8080 in the image

Routes: /ping, /health, /version, /invocations, as `mlflow models serve` has them. That command
would start a second process, whose end nobody awaits; here the signal to end reaches the server
itself.
"""

import os
import re
import signal
import sys
import urllib.request

GRACE_SECONDS = 20  # for the requests in hand


def main() -> None:
    """Serve until SIGTERM, then answer what is in hand, and end with code 0."""
    # The first process of a container ignores the signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    import uvicorn
    from mlflow.pyfunc.scoring_server import init

    uvicorn.run(
        init(_load(os.environ["MODEL_URI"])),
        host="0.0.0.0",
        port=int(os.environ["PORT"]),
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def is_healthy() -> None:
    """Raises OSError when the server of this container does not answer."""
    urllib.request.urlopen(f"http://127.0.0.1:{os.environ['PORT']}/ping", timeout=2).close()


def _load(uri: str) -> object:
    from mlflow.pyfunc import load_model

    try:
        return load_model(uri)
    except Exception as error:  # MLflow's, the network's, the model's
        problem = re.sub(r"://[^/@\s]+@", "://", f"{type(error).__name__}: {error}")
        sys.exit(
            f"error: the model {uri} cannot be loaded: {problem}\n  remedy: set MODEL_URI and "
            "MLFLOW_TRACKING_URI, or mount a folder with a model of MLflow's at /model"
        )


if __name__ == "__main__":
    is_healthy() if sys.argv[1:] == ["--is-healthy"] else main()
