"""What every step declares in its `contract.py`, and how the runner finds it and its `step.py`.

A contract imports none of the libraries that the step computes with, so that what only needs to
know the steps (compiling, a profile, a command's options) does not load them. `step.py` has `run`.
"""

import dataclasses
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from decant.runtime.collector import objects_that_stay
from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT
from decant.runtime.reporter import Reporter

# The order of the flow. A step that is not here is not in the pipeline.
STEPS = (
    "ingest",
    "tokenize",
    "finetune",
    "transfer_weights",
    "distill",
    "export_onnx",
    "evaluate",
    "register",
)

# Where a port's artifact is in a project when no path is given.
ARTIFACTS = "artifacts"
_ELSEWHERE = {"report": "reports"}


def artifact_folder(port: str) -> str:
    """Where DVC and `decant run` put a port's folder: artifacts/<port>, and the report in reports.

    Relative to the project's or the run's folder.
    """
    return _ELSEWHERE.get(port, f"{ARTIFACTS}/{port}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """A step as its contract declares it.

    Attributes:
        params: typed parameters, the step's section of params.yaml.
        inputs, outputs: dataclasses whose fields, all `Path`, are the ports.
        pins: for a step that reads the outside world, the digest or revision of each source.
        varying: output ports with measured times, which no digest covers.
        parallel: whether it can run in several processes (see `processes`).
        threads: the libraries whose number of threads its results depend on (see `threads`).
    """

    name: str
    params: type[Any]
    inputs: type[Any]
    outputs: type[Any]
    pins: Callable[[Any], Mapping[str, str]] | None
    varying: frozenset[str]
    parallel: bool
    threads: tuple[str, ...]

    @property
    def run(self) -> Callable[[Any, Any, Any, Reporter], None]:
        """The one implementation: params, inputs, outputs, reporter. Imported when asked for."""
        run: Callable[[Any, Any, Any, Reporter], None] = import_step(self.name).run
        return run

    @property
    def input_ports(self) -> tuple[str, ...]:
        """The names of what it reads."""
        return tuple(field.name for field in dataclasses.fields(self.inputs))

    @property
    def output_ports(self) -> tuple[str, ...]:
        """The names of what it writes."""
        return tuple(field.name for field in dataclasses.fields(self.outputs))

    def bind(self, ports: Mapping[str, Path]) -> tuple[dict[str, Path], dict[str, Path]]:
        """Split a port-to-path mapping into inputs and outputs; all must be given, and no other."""
        expected = {*self.input_ports, *self.output_ports}
        if wrong := sorted(expected ^ set(ports)):
            raise UserError(
                f"step {self.name}: ports missing or unknown: {', '.join(wrong)}",
                code="port-unknown",
                hint=f"ports: {', '.join((*self.input_ports, *self.output_ports))}",
            )
        return (
            {port: Path(ports[port]) for port in self.input_ports},
            {port: Path(ports[port]) for port in self.output_ports},
        )


def load_step(name: str) -> Step:
    """Raises UserError for an unknown name."""
    if not (PROJECT / "components" / name / "contract.py").is_file():
        raise UserError(f"no step '{name}'", code="step-unknown", hint=f"steps: {', '.join(STEPS)}")
    contract = importlib.import_module(f"components.{name}.contract")
    return Step(
        name=name,
        params=contract.Params,
        inputs=contract.Inputs,
        outputs=contract.Outputs,
        pins=getattr(contract, "pins", None),
        varying=getattr(contract, "VARYING", frozenset()),
        parallel=getattr(contract, "PARALLEL", False),
        threads=getattr(contract, "THREADS", ()),
    )


def steps_behind(name: str) -> tuple[str, ...]:
    """The steps whose outputs a step reads, directly or not, in the order of the flow."""
    found: set[str] = set()
    pending = [name]
    while pending:
        makes = {maker_of(port) for port in load_step(pending.pop()).input_ports}
        pending += makes - found
        found |= makes
    return tuple(step for step in STEPS if step in found)


def maker_of(port: str) -> str:
    """The step that writes a port. Raises StopIteration for one that none writes."""
    return next(step for step in STEPS if port in load_step(step).output_ports)


def import_step(name: str) -> ModuleType:
    """The module with `run`, and all that the step computes with, such as torch."""
    module = f"components.{name}.step"
    if module in sys.modules:
        return sys.modules[module]
    with objects_that_stay():
        return importlib.import_module(module)
