"""Runs one step: the way that DVC's command and the KFP component both go.

Validates the parameters, checks the inputs, seeds, tracks, times, and writes the outputs whole.
"""

import dataclasses
import json
import os
import platform
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from components.shared import identity
from components.shared.artifacts import (
    CARD,
    Card,
    Sidecar,
    check_targets,
    read_card,
    read_sidecar,
    write_json,
    written_whole,
)
from components.shared.reporter import Reporter
from components.shared.settings import parse
from components.shared.steps import Step, load_step
from components.shared.tracking import Origin, tracked_step

# The libraries whose versions decide an artifact's bytes.
_VERSIONED = ("torch", "transformers", "tokenizers", "onnx", "numpy", "pandas", "scikit-learn")


def run_step(name: str, section: Mapping[str, Any], ports: Mapping[str, Path]) -> Reporter:
    """Run a step on its section of parameters and its port-to-folder mapping.

    Returns the reporter with the step's metrics and curves.
    Raises UserError for whatever the user can mend; the outputs are then as they were before.
    """
    _end_on_termination()
    step = load_step(name)
    params = parse(step.params, section, name)
    input_paths, output_paths = step.bind(ports)
    check_targets(output_paths, input_paths)
    cards = {port: read_card(path) for port, path in input_paths.items()}
    digests = {
        port: identity.content_digest(path)
        for port, path in input_paths.items()
        if not cards[port].varying
    }
    if step.pins:
        digests |= step.pins(params)
    key = identity.step_identity(name, params, digests)
    seed_everything(getattr(params, "seed", 0))

    reporter = Reporter(step=name)
    origins = [_origin(cards[port], path) for port, path in input_paths.items()]
    with (
        tracked_step(name, key, params, origins, reporter) as run,
        written_whole(output_paths) as folders,
    ):
        started, clock = datetime.now(UTC), time.perf_counter()
        step.run(params, step.inputs(**input_paths), step.outputs(**folders), reporter)
        seconds = time.perf_counter() - clock
        for port, folder in folders.items():
            card = Card(
                step=name,
                port=port,
                identity=key,
                varying=port in step.varying,
                params=json.loads(identity.canonical_json(params)),
                inputs=digests,
                metrics=reporter.metrics,
                versions={package: version(package) for package in _VERSIONED},
            )
            write_json(folder / CARD, dataclasses.asdict(card))
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
    _summary(step, reporter, seconds, output_paths)
    return reporter


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and, where a step has imported it, torch."""
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _end_on_termination() -> None:
    """Let SIGTERM (a pod that is taken away) unwind as Ctrl-C does: outputs whole, run closed."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _origin(card: Card, folder: Path) -> Origin:
    sidecar = read_sidecar(folder)
    return Origin(card.step, card.identity, dict(sidecar.step_runs) if sidecar else {})


def _summary(step: Step, reporter: Reporter, seconds: float, outputs: Mapping[str, Path]) -> None:
    rows: list[tuple[str, object]] = [(name, value) for name, value in reporter.metrics.items()]
    rows += [(name, value) for name, value in reporter.measures.items()]
    rows.append(("seconds", round(seconds, 1)))
    rows += [(f"→ {port}", path) for port, path in outputs.items()]
    reporter.table(step.name, ("", "value"), rows)
