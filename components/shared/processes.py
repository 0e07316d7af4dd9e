"""A step's several processes: one per GPU, or some on a CPU, started as torchrun starts them.

Every process runs the same step on the same inputs. Training shares out each batch (DDP, by the
Trainer), labelling its shards. The first process alone tracks, prints, and writes the outputs.
"""

import json
import logging
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.shared.errors import UserError

VARIABLE = "DECANT_PROCESSES"


def wanted() -> int:
    """How many the environment asks for; 1 where it says nothing.

    Raises UserError for what is no number of processes.
    """
    text = os.environ.get(VARIABLE, "1")
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise UserError(f"{VARIABLE} is '{text}'", remedy="give 1 to 1024, such as one per GPU")
    return int(text)


def count() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def index() -> int:
    """0 for the first one, whose outputs count, and where there is only one."""
    return int(os.environ.get("RANK", "0"))


def is_started() -> bool:
    """Whether this process is one that torchrun, or what stands for it on a cluster, started."""
    return "TORCHELASTIC_RUN_ID" in os.environ or count() > 1


def start(number: int, name: str, section: Mapping[str, Any], ports: Mapping[str, Path]) -> None:
    """Run a step in `number` processes of this machine, and wait for them.

    Raises UserError when one of them ends without a message of its own. A message that the user
    has seen ends this process with the same code.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # What it logs of a failure is a table for those who write such launchers.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL + 1)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=number,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    with tempfile.TemporaryDirectory(prefix="decant-processes-") as folder, _threads_shared(number):
        file = Path(folder) / "params.json"
        file.write_text(_params_file(name, section), "utf-8")
        arguments = ["-m", "components", name, "--params", str(file)]
        for port, path in ports.items():
            arguments += [f"--{port}", str(path)]
        try:
            elastic_launch(config, sys.executable)(*arguments)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode == 2:  # a user's mistake, which that process has shown
                raise SystemExit(2) from None
            raise UserError(
                f"process {rank} of {number} of step {name} ended with code {failure.exitcode}",
                remedy="its own message stands above; -9 is often for want of memory",
            ) from None


@contextmanager
def joined() -> Iterator[None]:
    """Meet the other processes, each with a GPU of its own where there are GPUs."""
    if count() == 1:
        yield
        return
    import torch
    from torch import distributed

    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def wait_for_all() -> None:
    """Go on when every process is here."""
    if count() > 1:
        from torch import distributed

        distributed.barrier()


def _params_file(name: str, section: Mapping[str, Any]) -> str:
    """A parameter file (JSON is YAML too), where the seed stands beside the sections."""
    own = dict(section)
    seed = {"seed": own.pop("seed")} if "seed" in own else {}
    return json.dumps({**seed, name: own})


@contextmanager
def _threads_shared(number: int) -> Iterator[None]:
    """Each process an equal share of the cores, unless the user says otherwise."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ["OMP_NUM_THREADS"] = str(max(1, (cores or 1) // number))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
