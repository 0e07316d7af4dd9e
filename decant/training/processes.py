"""A step's several processes: one per GPU, or some on a CPU, started as torchrun starts them.

Every process runs the same step on the same inputs. Training divides each batch (DDP, by the
Trainer), labelling divides the shards. Only the first process tracks, prints, and writes outputs.

On several nodes the same command runs on each; torchrun's own variables (PET_NNODES,
PET_NPROC_PER_NODE, PET_NODE_RANK, PET_MASTER_ADDR, PET_MASTER_PORT), which Kubeflow Trainer sets,
give their meeting point.
"""

import json
import logging
import os
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decant.runtime.errors import UserError
from decant.runtime.litter import temporary_folder
from decant.runtime.parent_watch import children_end_with_this

VARIABLE = "DECANT_PROCESSES"
# Nodes start when the cluster has room for them; so long may one wait for the others.
MEETING_SECONDS = 1800
_MEETING_POINT = ("PET_MASTER_ADDR", "PET_MASTER_PORT")
TORCHRUN_VARIABLES = ("PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", *_MEETING_POINT)
_MOST = 1024


@dataclass(frozen=True, kw_only=True)
class Group:
    """The processes that run a step together.

    Attributes:
        per_node: processes of each node.
        node: which one this is, from 0; the first node's first process writes the outputs.
        meeting_point: host and port of the first node; empty where there is one node.
    """

    per_node: int = 1
    nodes: int = 1
    node: int = 0
    meeting_point: str = ""

    @property
    def size(self) -> int:
        """Processes on all nodes."""
        return self.per_node * self.nodes


def wanted() -> Group:
    """The group set by the environment: torchrun's variables, else DECANT_PROCESSES, else one.

    Raises UserError for a value that is not a number of processes or nodes, and for a missing one.
    """
    if "PET_NNODES" not in os.environ:
        return Group(per_node=_number(VARIABLE, 1, _MOST, "one per GPU"))
    nodes = _number("PET_NNODES", 1, _MOST, "2")
    if nodes == 1:
        return Group(per_node=_per_node())
    if missing := [name for name in _MEETING_POINT if not os.environ.get(name)]:
        raise UserError(
            f"PET_NNODES is {nodes}, but {' and '.join(missing)} is not set",
            code="variable-missing",
            hint="start the step as a TrainJob of a torch runtime, which sets it on each node",
        )
    address, port = (os.environ[name] for name in _MEETING_POINT)
    return Group(
        per_node=_per_node(),
        nodes=nodes,
        node=_number("PET_NODE_RANK", 0, nodes - 1, "0 on the first node"),
        meeting_point=f"{address}:{port}",
    )


def count() -> int:
    """The number of processes that share the step, 1 for a single one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def index() -> int:
    """0 for the first process, whose outputs are kept, and for a single one."""
    return int(os.environ.get("RANK", "0"))


def is_on_one_node() -> bool:
    """Whether all of them run on one machine."""
    return os.environ.get("LOCAL_WORLD_SIZE", "1") == os.environ.get("WORLD_SIZE", "1")


def is_started() -> bool:
    """Whether torchrun, or its counterpart on a cluster, started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ or count() > 1


def start(group: Group, name: str, section: Mapping[str, Any], ports: Mapping[str, Path]) -> None:
    """Run a step in this node's processes of the group, and wait for them.

    Raises UserError when one of them ends without an error message, and when the nodes do not
    meet. After an error that was shown, or a signal, this process ends with the same code.
    """
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    # Its log of a failure is a table for developers of launchers.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL + 1)
    with (
        temporary_folder("processes") as folder,
        _threads_shared(group.per_node),
        children_end_with_this(),
    ):
        file = folder / "params.json"
        file.write_text(params_file(name, section), "utf-8")
        arguments = ["-m", "components", name, "--params", str(file)]
        for port, path in ports.items():
            arguments += [f"--{port}", str(path)]
        try:
            elastic_launch(_launch_config(group), sys.executable)(*arguments)
        except SignalException as ended:  # the pod is evicted
            raise SystemExit(128 + ended.sigval) from None
        except DistError as error:
            raise UserError(
                f"node {group.node} of {group.nodes} lost the others, or did not reach them at "
                f"{group.meeting_point}: {str(error).partition(chr(10))[0]}",
                code="node-lost",
                hint="find out why the other nodes did not start, or ended",
            ) from None
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode == 2:  # a user's mistake, which that process has reported
                raise SystemExit(2) from None
            raise UserError(
                f"process {rank} of {group.size} of step {name} ended with code {failure.exitcode}",
                code="process-failed",
                hint="its own message is above; -9 is often a lack of memory",
            ) from None


def params_file(name: str, section: Mapping[str, Any]) -> str:
    """A parameter file (JSON is YAML too), where the seed is beside the sections."""
    own = dict(section)
    seed = {"seed": own.pop("seed")} if "seed" in own else {}
    return json.dumps({**seed, name: own})


@contextmanager
def joined() -> Iterator[None]:
    """Meet the other processes, each with its own GPU where there are GPUs."""
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
    """Wait until every process has reached this point."""
    if count() > 1:
        from torch import distributed

        distributed.barrier()


def agreed(numbers: Sequence[int]) -> list[int]:
    """The first process's whole numbers, in every process."""
    if count() == 1:
        return list(numbers)
    import torch
    from torch import distributed

    shared = torch.tensor(numbers, dtype=torch.int64)
    distributed.broadcast(shared, src=0)
    found: list[int] = shared.tolist()
    return found


def _launch_config(group: Group) -> Any:
    """torchrun's: nodes meet at the first node's port, a single node's processes at a free one."""
    from torch.distributed.launcher.api import LaunchConfig

    shared: dict[str, Any] = {
        "min_nodes": group.nodes,
        "max_nodes": group.nodes,
        "nproc_per_node": group.per_node,
        "max_restarts": 0,
    }
    if group.nodes == 1:
        return LaunchConfig(
            **shared,
            run_id=str(uuid.uuid4()),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
        )
    return LaunchConfig(
        **shared,
        run_id="decant",  # the same on every node
        rdzv_backend="static",
        rdzv_endpoint=group.meeting_point,
        rdzv_configs={"rank": group.node, "timeout": MEETING_SECONDS},
    )


def _per_node() -> int:
    """PET_NPROC_PER_NODE as torchrun reads it: a number, or auto, gpu, cpu."""
    from torch.distributed.run import determine_local_world_size

    text = os.environ.get("PET_NPROC_PER_NODE", "1")
    try:
        number = int(determine_local_world_size(text))
    except ValueError as error:
        raise UserError(f"PET_NPROC_PER_NODE is '{text}': {error}", code="variable-value") from None
    if not 1 <= number <= _MOST:
        raise UserError(
            f"PET_NPROC_PER_NODE is '{text}'",
            code="variable-value",
            hint=f"give 1 to {_MOST}, or auto",
        )
    return number


def _number(variable: str, least: int, most: int, such_as: str) -> int:
    """The variable's value, or the least where it is not set."""
    text = os.environ.get(variable, str(least))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise UserError(
            f"{variable} is '{text}'",
            code="variable-value",
            hint=f"give {least} to {most}, such as {such_as}",
        )
    return int(text)


@contextmanager
def _threads_shared(number: int) -> Iterator[None]:
    """Give each process an equal share of the cores, unless the user sets it."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ["OMP_NUM_THREADS"] = str(max(1, (cores or 1) // number))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
