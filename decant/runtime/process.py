"""Which process runs a step, and whether it still does.

psutil is imported where it is asked for: the base installation has none, and asks nothing.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

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
        import psutil

        try:
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.started) < 2  # names have whole seconds
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False

    def as_tag(self) -> str:
        """What `read_tag` reads."""
        return f"{self.pid} {self.started:.3f} {self.host}"


def this_process() -> Process:
    """The one that asks."""
    import psutil

    return Process(host(), os.getpid(), psutil.Process().create_time())


def dvc_above() -> Process | None:
    """The nearest `dvc` above this process."""
    import psutil

    try:
        parents = psutil.Process().parents()
    except psutil.Error:
        return None
    for process in parents:
        try:
            if "dvc" in [Path(word).name for word in process.cmdline()[:3]]:
                return Process(host(), process.pid, process.create_time())
        except psutil.Error:  # another user's process
            continue
    return None


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
