"""Run a study's tasks: a subprocess per step, several in parallel, none twice."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.study.finished_runs import Store, write_params
from benchmarks.study.tasks import Task
from benchmarks.study.threads import environment as of_threads
from decant.runtime.artifacts import write_json
from decant.runtime.errors import UserError
from decant.runtime.reporter import Advance, Reporter
from decant.runtime.steps import load_step

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 30.0  # for a step after SIGTERM
_SHOWN_CHARACTERS = 2000


@dataclass(frozen=True, eq=False, kw_only=True)
class _Process:
    task: Task
    identity: str
    folder: Path
    handle: subprocess.Popen[bytes]
    started: float


def run_tasks(
    tasks: Sequence[Task], store: Store, *, jobs: int, reporter: Reporter
) -> dict[Task, str]:
    """Run what is not done; returns the message of each failed task and its successors.

    Each process has the store's number of threads. When this call is interrupted its
    processes end; a step writes its outputs whole or not at all, so the next call continues
    where this one stopped.
    """
    queue = _Queue(tasks, store, jobs)
    with reporter.progress("running steps", len(tasks)) as advance:
        try:
            while queue.pending or queue.running:
                queue.start_ready(reporter, advance)
                queue.collect(reporter, advance)
                time.sleep(_POLL_SECONDS if queue.running else 0)
        finally:
            queue.end_all()
    return queue.failures


class _Queue:
    """Attributes: pending tasks in their order, running processes, failures by task."""

    def __init__(self, tasks: Sequence[Task], store: Store, jobs: int) -> None:
        self.pending = list(tasks)
        self.running: list[_Process] = []
        self.failures: dict[Task, str] = {}
        self._store, self._jobs = store, jobs

    def start_ready(self, reporter: Reporter, advance: Advance) -> None:
        """Start as many tasks as allowed; remove those that are done or cannot run."""
        waiting: list[Task] = []
        for task in self.pending:
            if len(self.running) == self._jobs:
                waiting.append(task)
                continue
            failed = next(
                (self.failures[i] for i in task.inputs.values() if i in self.failures), ""
            )
            if failed:
                self.failures[task] = failed
                advance(1)
                continue
            try:
                done, identity = self._store.outputs(task), self._store.identity(task)
            except UserError as error:
                self._fail(task, str(error), reporter)
                advance(1)
                continue
            if done:
                advance(1)
            elif identity is None or identity in {process.identity for process in self.running}:
                waiting.append(task)
            else:
                self.running.append(self._start(task, identity))
        self.pending = waiting

    def collect(self, reporter: Reporter, advance: Advance) -> None:
        """Collect the processes that have ended."""
        for process in [one for one in self.running if one.handle.poll() is not None]:
            self.running.remove(process)
            task, seconds = process.task, time.monotonic() - process.started
            if code := process.handle.returncode:
                self._fail(task, _explanation(code, process.folder / "log.txt"), reporter)
            elif self._store.outputs(task) is None:
                problem = f"the code of {task.step} changed while the study ran; start it again"
                self._fail(task, problem, reporter)
            else:
                reporter.message(f"{task}: {seconds:.0f} s")
            advance(1)

    def end_all(self) -> None:
        for process in self.running:
            process.handle.terminate()
        for process in self.running:
            try:
                process.handle.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:  # its outputs are whole or missing
                process.handle.kill()
                process.handle.wait()

    def _start(self, task: Task, identity: str) -> _Process:
        folder = self._store.folder(task, identity)
        folder.mkdir(parents=True, exist_ok=True)
        write_params(folder / "params.json", task)
        threads = self._store.threads
        write_json(folder / "launch.json", {"jobs": self._jobs, "threads": threads})
        command = [sys.executable, "-m", "components", task.step]
        command += ["--params", str(folder / "params.json")]
        for port, source in task.inputs.items():
            command += [f"--{port}", str(self._store.path(source, port))]
        for port in load_step(task.step).output_ports:
            command += [f"--{port}", str(folder / port)]
        environment = os.environ | {"DECANT_TRACKING": "off"} | of_threads(threads)
        with (folder / "log.txt").open("wb") as log:
            handle = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches this process alone, which ends them
            )
        return _Process(
            task=task, identity=identity, folder=folder, handle=handle, started=time.monotonic()
        )

    def _fail(self, task: Task, problem: str, reporter: Reporter) -> None:
        self.failures[task] = f"{task.step}: {problem}"
        reporter.warning(f"{task} failed")


def _explanation(code: int, log: Path) -> str:
    """The step's own message where it ended with one, else the end of its log."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text("utf-8", errors="replace")).strip()
    _, marked, message = text.rpartition("error: ")
    if code < 0:
        return f"ended by signal {-code} (9: often a lack of memory); log: {log}"
    shown = message if marked and code == 2 else text[-_SHOWN_CHARACTERS:]
    return f"{shown}\n  log: {log}"
