"""Runs one step, for DVC's command and for the KFP component.

Validates the parameters, checks the inputs, seeds, tracks, times, and writes the outputs
atomically.
"""

import dataclasses
import json
import os
import platform
import random
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from decant.runner.damaged_inputs import refuse_damaged
from decant.runner.earlier_attempt import earlier_outputs, note_finished, take_over
from decant.runner.mixed_inputs import lineage, refuse_mixed_inputs
from decant.runner.relayed_output import is_relayed
from decant.runtime import identity
from decant.runtime.artifacts import (
    CARD,
    Card,
    Sidecar,
    check_targets,
    read_card,
    read_sidecar,
    write_card,
    write_json,
    written_whole,
)
from decant.runtime.errors import UserError
from decant.runtime.litter import (
    sweep,
    temporary_files_together,
    temporary_folder,
    temporary_folders,
)
from decant.runtime.log_lines import logged_by
from decant.runtime.parent_watch import end_with_parent
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse
from decant.runtime.steps import Step, import_step, load_step, maker_of
from decant.runtime.termination import end_on_termination, says_what_is_kept
from decant.runtime.threads import threads_here, wait_without_spinning
from decant.tracking.record import Origin
from decant.tracking.tracked_step import tracked_step
from decant.training import processes
from decant.training.checkpoints import kept_trainings, remove_checkpoints

# The libraries whose versions decide an artifact's bytes.
_VERSIONED = ("torch", "transformers", "tokenizers", "onnx", "numpy", "pandas", "scikit-learn")


def run_step(name: str, section: Mapping[str, Any], ports: Mapping[str, Path]) -> Reporter:
    """Run a step on its section of parameters and its port-to-folder mapping.

    A parallel step runs in as many processes as the environment requests.

    Returns the reporter with the step's metrics and measures.
    Raises UserError for whatever the user can fix; the outputs are then unchanged.
    """
    end_on_termination()
    end_with_parent()
    wait_without_spinning()
    step = load_step(name)
    params = parse(step.params, section, name)
    input_paths, output_paths = step.bind(ports)
    check_targets(output_paths, input_paths)
    cards = {port: read_card(path, maker_of(port)) for port, path in input_paths.items()}
    if not processes.is_started() and (group := processes.wanted()).size > 1:
        if step.parallel:
            processes.start(group, name, section, ports)
            return reporter_of(step, output_paths) if group.node == 0 else Reporter(step=name)
        _refuse_nodes(name, group)
    before = _cards_now(output_paths)
    with says_what_is_kept(lambda: _kept(name, before, output_paths)):
        return _run_here(step, params, cards, input_paths, output_paths)


def _run_here(
    step: Step,
    params: Any,
    cards: Mapping[str, Card],
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
) -> Reporter:
    """In this process, which may be one of several."""
    watching = _reporter(step.name)
    with watching.running():  # a cold disk takes its time for torch, which is seeded below
        import_step(step.name)
    with (
        logged_by(watching.warning),
        watching.activity("looking at the inputs"),  # reads them whole, or downloads them
    ):
        if processes.index() == 0:
            sweep(temporary_folders())
        files = {port: identity.file_digests(path) for port, path in inputs.items()}
        refuse_damaged(inputs, cards, files)
        digests = {
            port: identity.folder_digest(found)
            for port, found in files.items()
            if not cards[port].varying
        }
        if step.pins:
            digests |= step.pins(params)
    refuse_mixed_inputs(step.name, inputs, cards, digests)
    reporter = _reporter_at(step, params, digests)
    with processes.joined(), temporary_files_together(step.name):
        if earlier := earlier_outputs(step, reporter.identity):
            return _taken_over(step, earlier, outputs)
        seed_everything(getattr(params, "seed", 0))
        if processes.index() > 0:
            return _assist(step, params, inputs, reporter)
        return _run(step, params, digests, cards, inputs, outputs, reporter)


def _reporter_at(step: Step, params: Any, digests: Mapping[str, str]) -> Reporter:
    """With the step's identity in this process."""
    reporter = _reporter(step.name)
    reporter.threads = threads_here(step.threads)
    reporter.work = identity.step_identity(step.name, params, digests)
    reporter.identity = identity.step_identity(step.name, params, digests, threads=reporter.threads)
    return reporter


def _run(
    step: Step,
    params: Any,
    digests: Mapping[str, str],
    cards: Mapping[str, Card],
    inputs: Mapping[str, Path],
    outputs: Mapping[str, Path],
    reporter: Reporter,
) -> Reporter:
    origins = [_origin(cards[port], path) for port, path in inputs.items()]
    with (
        reporter.running(),
        logged_by(reporter.warning),
        tracked_step(step.name, reporter.identity, params, origins, reporter) as run,
        written_whole(outputs) as folders,
    ):
        started, clock = datetime.now(UTC), time.perf_counter()
        step.run(params, step.inputs(**inputs), step.outputs(**folders), reporter)
        seconds = time.perf_counter() - clock
        for port, folder in folders.items():
            card = Card(
                step=step.name,
                port=port,
                identity=reporter.identity,
                varying=port in step.varying,
                params=json.loads(identity.canonical_json(params)),
                inputs=digests,
                metrics=reporter.metrics,
                versions={package: version(package) for package in _VERSIONED},
                lineage=lineage(cards, digests),
                files=identity.file_digests(folder),
                threads=reporter.threads,
            )
            write_card(folder, card)
            sidecar = Sidecar(
                run_id=run.run_id,
                step_runs=run.step_runs,
                started=started.isoformat(timespec="seconds"),
                seconds=round(seconds, 3),
                host=f"{socket.gethostname()} ({platform.machine()}, {os.cpu_count()} cores)",
                measures=reporter.measures,
            )
            write_json(folder / identity.SIDECAR, dataclasses.asdict(sidecar))
        run.finish(reporter, seconds, folders)
    note_finished(step, reporter.identity, outputs)
    remove_checkpoints(reporter.work)
    _summary(step, reporter, seconds, outputs)
    return reporter


def _assist(step: Step, params: Any, inputs: Mapping[str, Path], reporter: Reporter) -> Reporter:
    """The share of a further process. What it writes and logs is thrown away."""
    with temporary_folder("process") as scratch:
        folders = {port: scratch / port for port in step.output_ports}
        for folder in folders.values():
            folder.mkdir()
        try:
            step.run(params, step.inputs(**inputs), step.outputs(**folders), reporter)
        except UserError as error:
            problem = f"process {processes.index()}: {error.problem}"
            raise UserError(problem, code=error.code, hint=error.hint) from None
    return reporter


def _taken_over(step: Step, earlier: Mapping[str, Path], outputs: Mapping[str, Path]) -> Reporter:
    if processes.index() > 0:
        return Reporter(step=step.name)
    take_over(earlier, outputs)
    reporter = reporter_of(step, outputs)
    reporter.message("was finished when the run was cut off: its outputs are taken over")
    return reporter


def reporter_of(step: Step, outputs: Mapping[str, Path]) -> Reporter:
    """The report of a step that other processes ran, read from its artifacts."""
    artifact = next(iter(outputs.values()))
    sidecar = read_sidecar(artifact)
    return Reporter(
        step=step.name,
        run_id=sidecar.run_id if sidecar else "",
        metrics=dict(read_card(artifact).metrics),
        measures=dict(sidecar.measures) if sidecar else {},
    )


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and, where a step has imported it, torch."""
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _reporter(step: str) -> Reporter:
    """Of several processes the first alone prints."""
    if processes.index() > 0:
        return Reporter(step=step, console=Console(quiet=True))
    return Reporter(step=step)


def _kept(name: str, before: Sequence[int], outputs: Mapping[str, Path]) -> str:
    """For who ends a step: what is left, and how to go on."""
    if _cards_now(outputs) != before:
        return f"the outputs of {name} are whole"
    trainings = ", ".join(kept_trainings())
    return (
        f"the outputs of {name} are as they were, {trainings or 'what it has computed'} is kept; "
        "the same command goes on from there"
    )


def _cards_now(outputs: Mapping[str, Path]) -> list[int]:
    """Other numbers once a step has published its outputs."""
    files = [folder / CARD for folder in outputs.values()]
    return [file.stat().st_ino if file.is_file() else 0 for file in files]


def _refuse_nodes(name: str, group: processes.Group) -> None:
    """Each node would run the whole step and write the same outputs."""
    if group.nodes > 1:
        raise UserError(
            f"step {name} runs on one node (PET_NNODES is {group.nodes})",
            code="nodes-unsupported",
            hint="give one node; several share finetune and distill",
        )


def _origin(card: Card, folder: Path) -> Origin:
    sidecar = read_sidecar(folder)
    return Origin(card.step, card.identity, dict(sidecar.step_runs) if sidecar else {})


def _summary(step: Step, reporter: Reporter, seconds: float, outputs: Mapping[str, Path]) -> None:
    rows: list[tuple[str, object]] = [(name, value) for name, value in reporter.metrics.items()]
    rows += [(name, value) for name, value in reporter.measures.items()]
    rows.append(("seconds", round(seconds, 1)))
    if not is_relayed():  # whoever relays moves the outputs
        rows += [(f"→ {port}", path) for port, path in outputs.items()]
    reporter.table(step.name, ("", "value"), rows)
