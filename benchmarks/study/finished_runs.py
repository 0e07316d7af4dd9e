"""The artifacts of a study, by the identity of the step that made them.

store/<step>/<identity>/<port>/   an artifact folder of the step
store/<step>/<identity>/digests.json   port → content digest, written when the step is done
store/<step>/<identity>/params.json, launch.json, log.txt   of the process that made it
store/files/<sha256>              every large file once; the artifacts hold hard links to it
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.study.tasks import Task
from benchmarks.study.threads import threads_of_a_process
from decant.runtime.artifacts import CARD, read_card, read_json, read_sidecar, write_json
from decant.runtime.cache_folder import is_intact, write_once
from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json, content_digest, file_digest, step_identity
from decant.runtime.steps import load_step

LARGE_BYTES = 1 << 20
_IDENTITY_CHARACTERS = 24  # of 64: enough, and paths stay readable


@dataclass(frozen=True)
class Outputs:
    """A finished task's folder and the content digest of each of its ports."""

    folder: Path
    digests: Mapping[str, str]


class Store:
    """Finds which tasks are done, and remembers those that are."""

    def __init__(self, root: Path, *, threads: int) -> None:
        """`threads`: of each process. What another number has made is not taken."""
        self._root, self.threads = root / "store", threads
        self._done: dict[Task, Outputs] = {}
        self._pins: dict[str, dict[str, str]] = {}

    def outputs(self, task: Task) -> Outputs | None:
        """None when the task, or one that it depends on, is not done.

        Raises UserError when an external source cannot be found.
        """
        if task in self._done:
            return self._done[task]
        identity = self.identity(task)
        if identity is None:
            return None
        folder = self.folder(task, identity)
        if not all(self._is_made(folder / port, identity) for port in _ports(task)):
            return None
        file = folder / "digests.json"
        if not is_intact(file):
            for port in _ports(task):
                self._link_large_files(folder / port)
            digests = {port: content_digest(folder / port) for port in _ports(task)}
            write_once(file, lambda partial: write_json(partial, digests))
        self._done[task] = Outputs(folder, read_json(file))
        return self._done[task]

    def identity(self, task: Task) -> str | None:
        """The step's identity; None while an input is missing."""
        digests: dict[str, str] = {}
        for port, source in task.inputs.items():
            outputs = self.outputs(source)
            if outputs is None:
                return None
            if port not in load_step(source.step).varying:
                digests[port] = outputs.digests[port]
        return step_identity(
            task.step,
            task.params,
            digests | self._pins_of(task),
            threads=self._threads_of(task),
        )

    def finished_with_others(self, tasks: Sequence[Task]) -> dict[int, int]:
        """Other numbers of threads, and how many of the tasks are done with each."""
        launches = self._root.glob("*/*/launch.json")
        others = {read_json(file)["threads"] for file in launches} - {self.threads}
        counting = [task for task in tasks if load_step(task.step).threads]
        found = {}
        for number in sorted(others):
            other = Store(self._root.parent, threads=number)
            found[number] = sum(other._is_done(task) for task in counting)
        return {number: done for number, done in found.items() if done}

    def folder(self, task: Task, identity: str) -> Path:
        return self._root / task.step / identity[:_IDENTITY_CHARACTERS]

    def path(self, task: Task, port: str) -> Path:
        """An artifact of a finished task."""
        outputs = self.outputs(task)
        assert outputs is not None
        return outputs.folder / port

    def seconds(self, task: Task) -> dict[str, float]:
        """What the task's process measured, and its whole time as `seconds`."""
        sidecar = read_sidecar(self.path(task, _ports(task)[0]))
        return {**sidecar.measures, "seconds": sidecar.seconds} if sidecar else {}

    def _is_done(self, task: Task) -> bool:
        with suppress(UserError):  # a source cannot be found: running the task reports why
            return self.outputs(task) is not None
        return False

    def _threads_of(self, task: Task) -> dict[str, int]:
        if not (libraries := load_step(task.step).threads):
            return {}
        asked = threads_of_a_process(self.threads)
        return {library: asked[library] for library in libraries if library in asked}

    def _pins_of(self, task: Task) -> dict[str, str]:
        find = load_step(task.step).pins
        if find is None:
            return {}
        key = canonical_json(task.params)
        if key not in self._pins:
            self._pins[key] = dict(find(task.params))
        return self._pins[key]

    @staticmethod
    def _is_made(artifact: Path, identity: str) -> bool:
        return (artifact / CARD).is_file() and read_card(artifact).identity == identity

    def _link_large_files(self, artifact: Path) -> None:
        """Every variant exports its teacher: one copy on the disk is enough."""
        for file in sorted(artifact.rglob("*")):
            if not file.is_file() or file.is_symlink() or file.stat().st_size < LARGE_BYTES:
                continue
            known = self._root / "files" / file_digest(file)
            known.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # a file system without hard links keeps copies
                if not known.exists():
                    os.link(file, known)
                elif not known.samefile(file):
                    link = file.with_name(f".{file.name}.link")
                    os.link(known, link)
                    link.replace(file)


def threads_before(root: Path) -> int | None:
    """Of most processes that a study has started there for steps which depend on it."""
    launches = (root / "store").glob("*/*/launch.json")
    numbers = Counter(
        int(read_json(file)["threads"])
        for file in launches
        if load_step(file.parent.parent.name).threads
    )
    return max(numbers, key=lambda number: numbers[number], default=None)


def _ports(task: Task) -> tuple[str, ...]:
    return load_step(task.step).output_ports


def write_params(file: Path, task: Task) -> None:
    """A parameter file (JSON is YAML too) with all that `python -m components` needs."""
    section = dict(task.section)
    seed = {"seed": section.pop("seed")} if "seed" in section else {}
    file.write_text(json.dumps({**seed, task.step: section}, indent=2), "utf-8")
