"""The steps behind a study's runs, each distinct one once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.study.study_plan import CHAIN, Run
from decant.runtime.identity import canonical_json, text_digest
from decant.runtime.params_file import section_of
from decant.runtime.settings import parse
from decant.runtime.steps import load_step


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """One step with its parameters, on the outputs of other tasks.

    Attributes:
        key: digest of step, parameters and all tasks before it; known before anything runs.
        section: the step's section of parameters, the seed included where it has one.
        params: the same, typed.
        inputs: the task that makes the artifact of each input port.
        runs: whose artifacts it makes, in the order of the plan.
    """

    key: str
    step: str
    section: Mapping[str, Any]
    params: object
    inputs: Mapping[str, "Task"]
    runs: list[Run]

    def __str__(self) -> str:
        first, others = self.runs[0], len(self.runs) - 1
        return f"{self.step} of {first}" + (f" and {others} more" if others else "")


@dataclass(frozen=True, kw_only=True)
class Work:
    """Tasks in the order in which they can run, and each run's chain of them."""

    tasks: Sequence[Task]
    chains: Mapping[Run, Mapping[str, Task]]


def plan_work(runs: Sequence[Run]) -> Work:
    """Chain the steps by their ports; steps that several runs share become one task."""
    tasks: dict[str, Task] = {}
    chains: dict[Run, dict[str, Task]] = {}
    for run in runs:
        made: dict[str, Task] = {}  # port → its task
        chain: dict[str, Task] = {}
        for name in CHAIN:
            step = load_step(name)
            section = section_of(run.params, name, step.params)
            inputs = {port: made[port] for port in step.input_ports}
            params = parse(step.params, section, name)
            key = _key(name, params, inputs)
            task = tasks.setdefault(
                key,
                Task(key=key, step=name, section=section, params=params, inputs=inputs, runs=[]),
            )
            task.runs.append(run)
            chain[name] = task
            made |= dict.fromkeys(step.output_ports, task)
        chains[run] = chain
    return Work(tasks=list(tasks.values()), chains=chains)


def _key(step: str, params: object, inputs: Mapping[str, Task]) -> str:
    return text_digest(
        canonical_json(
            {
                "step": step,
                "params": canonical_json(params),
                "inputs": {port: task.key for port, task in inputs.items()},
            }
        )
    )
