"""What loading a model costs beyond importing MLflow, measured in a fresh process."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from components.shared.errors import UserError
from components.shared.tracking_store import tracking_uri, without_secrets
from pipelines.load_testing.server import MLFLOW_QUIET

HEAVY = ("torch", "transformers", "tensorflow", "sklearn", "kfp", "dvc", "matplotlib")
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class StartUp:
    """Seconds and MiB of resident memory; `model_*` is what comes on top of `mlflow_*`.

    Attributes:
        modules: the packages that loading the model and its first answer imported.
        heavy: which of HEAVY the process holds in the end.
    """

    mlflow_seconds: float
    mlflow_mib: float
    model_seconds: float
    model_mib: float
    first_answer_seconds: float
    modules: tuple[str, ...]
    heavy: tuple[str, ...]


# Not a function of this package: the process shall hold nothing but MLflow and the model.
_PROBE = """
import sys, time
import psutil
from json import dumps

def state():
    return time.perf_counter(), psutil.Process().memory_info().rss / (1 << 20), set(sys.modules)

before = state()
import mlflow.pyfunc
imported = state()
model = mlflow.pyfunc.load_model(sys.argv[1])
loaded = state()
import pandas
model.predict(pandas.DataFrame({"text": ["a text"]}))
answered = state()
script = type(model.unwrap_python_model()).__module__  # MLflow makes up its name
print(dumps({
    "mlflow_seconds": imported[0] - before[0],
    "mlflow_mib": imported[1] - before[1],
    "model_seconds": loaded[0] - imported[0],
    "model_mib": loaded[1] - imported[1],
    "first_answer_seconds": answered[0] - loaded[0],
    "modules": sorted({name.partition(".")[0] for name in answered[2] - imported[2]} - {script}),
    "all": sorted({name.partition(".")[0] for name in answered[2]}),
}))
"""


def measure_startup(model_uri: str) -> StartUp:
    """Raises UserError when the model cannot be loaded."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROBE, model_uri],
        env={"MLFLOW_TRACKING_URI": tracking_uri(), **MLFLOW_QUIET, **os.environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"the model {model_uri} cannot be loaded: {without_secrets(last)}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    held = found.pop("all")
    found["heavy"] = tuple(name for name in HEAVY if name in held)
    found["modules"] = tuple(found["modules"])
    return StartUp(**found)
