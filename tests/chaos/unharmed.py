"""A run that nothing harms: what attacks start from, and what their results are compared with."""

import atexit
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from decant.runtime.artifacts import CARD, read_json, write_json
from decant.runtime.identity import content_digest
from decant.runtime.steps import STEPS, load_step
from tests.chaos.command import Running, environment, started
from tests.tiny import tiny_parameters, write_corpus, write_encoder

_POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Unharmed:
    """Of steps that ran one by one, each as a command in a process of its own.

    Attributes:
        root: a folder per port.
        params: the parameter file.
        digests: of each port's content.
        cpu_seconds: of each step's command.
    """

    root: Path
    params: Path
    digests: Mapping[str, str]
    cpu_seconds: Mapping[str, float]

    def words(self, step: str, outputs: Path, inputs: Path | None = None) -> list[str]:
        """The step's command, which writes into `outputs`.

        Args:
            inputs: where it reads; None: what the unharmed run has made.
        """
        declared = load_step(step)
        ports = {port: (inputs or self.root) / port for port in declared.input_ports}
        ports |= {port: outputs / port for port in declared.output_ports}
        options = [f"--{port}={path}" for port, path in ports.items()]
        return [sys.executable, "-m", "components", step, f"--params={self.params}", *options]

    def read_params(self) -> dict[str, Any]:
        """A copy of the parameters."""
        return dict(read_json(self.params))

    def copy_inputs(self, step: str, folder: Path) -> Path:
        """Of its own, so that they can be harmed. Returns the folder."""
        for port in load_step(step).input_ports:
            shutil.copytree(self.root / port, folder / port)
        return folder

    def difference(self, step: str, outputs: Path) -> str:
        """What a step has written otherwise than here, or left behind; empty when nothing."""
        declared = load_step(step).output_ports
        wrong = [
            f"{port} is not as without harm"
            for port in declared
            if not (outputs / port / CARD).is_file()
            or (port in self.digests and content_digest(outputs / port) != self.digests[port])
        ]
        litter = [path.name for path in outputs.iterdir() if path.name not in declared]
        return "; ".join(wrong + [f"{name} is left behind" for name in litter])


@cache
def unharmed() -> Unharmed:
    """All eight steps, run once per process; removed at its end."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-unharmed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return run_unharmed(folder)


def small_parameters(folder: Path) -> dict[str, Any]:
    """Of a pipeline that takes seconds; its corpus and encoder are written into `folder`."""
    for name in ("corpus", "encoder"):
        (folder / name).mkdir(parents=True)
    params = tiny_parameters(write_corpus(folder / "corpus"), write_encoder(folder / "encoder"))
    content: dict[str, Any] = json.loads(json.dumps(params))
    content["finetune"]["training"]["epochs"] = 2
    content["distill"]["training"]["epochs"] = 1
    content["distill"]["undistilled_training"]["epochs"] = 2
    content["distill"] |= {"transfer_rows": 300, "epoch_rows": 300}
    for models in ("student", "teacher"):
        content["export_onnx"]["quantisation"][models]["forms"] = []
    return content


def until(is_there: Callable[[], bool], running: Running) -> None:
    """Wait while a command works. Raises RuntimeError where it ends before."""
    while not is_there():
        if running.process.poll() is not None and not is_there():
            raise RuntimeError(f"ended too early:\n{running.output}")
        time.sleep(_POLL_SECONDS / 10)


def tracking_of(step: str) -> dict[str, str]:
    """What a step's environment says of MLflow: register alone needs it, and it takes seconds."""
    return {"DECANT_TRACKING": "on" if step == "register" else "off"}


def run_unharmed(folder: Path, steps: Iterable[str] = STEPS) -> Unharmed:
    """Run the steps, in their order. Raises RuntimeError with the output of one that fails."""
    params = folder / "params.json"
    write_json(params, small_parameters(folder / "data"))
    digests: dict[str, str] = {}
    seconds: dict[str, float] = {}
    unharmed = Unharmed(root=folder, params=params, digests=digests, cpu_seconds=seconds)
    for step in steps:
        given = environment(folder, **tracking_of(step))
        with started(unharmed.words(step, folder), folder, given) as running:
            while running.process.poll() is None:
                seconds[step] = max(seconds.get(step, 0.0), running.cpu_seconds())
                time.sleep(_POLL_SECONDS)
        if running.process.returncode:
            raise RuntimeError(f"{step} failed without harm:\n{running.output}")
        declared = load_step(step)
        digests |= {
            port: content_digest(folder / port)
            for port in declared.output_ports
            if port not in declared.varying
        }
    return unharmed
