"""Which process runs a step, and whether it still does."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

PROCESS_TAG = "decant.process"  # of a run of a step

_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Process:
    """The process that runs a step.

    Attributes:
        host: its machine and, on Linux, its pid namespace: pids of two containers are not the same.
    """

    host: str
    pid: int
    started: float

    @property
    def is_here(self) -> bool:
        """Whether this process can tell if it is alive."""
        return self.host == host()

    @property
    def is_alive(self) -> bool:
        """Whether it runs, here; another process may have got its number."""
        try:
            started = psutil.Process(self.pid).create_time()
        except psutil.Error:
            return False
        return abs(started - self.started) < 1

    def as_tag(self) -> str:
        """What `read_tag` reads."""
        return f"{self.pid} {self.started:.3f} {self.host}"


def this_process() -> Process:
    """The one that asks."""
    return Process(host(), os.getpid(), psutil.Process().create_time())


def read_tag(tag: str) -> Process | None:
    """None for what `as_tag` did not write."""
    pid, _, rest = tag.partition(" ")
    started, _, host = rest.partition(" ")
    try:
        return Process(host, int(pid), float(started))
    except ValueError:
        return None


def host() -> str:
    """This machine, and in it this process's pid namespace."""
    try:
        return f"{socket.gethostname()} {_NAMESPACE.readlink()}"
    except OSError:
        return socket.gethostname()
