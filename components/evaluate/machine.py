"""The machine of the measured times."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import onnxruntime

from decant.figures.timing_figures import Machine


def machine_facts(threads: int) -> Machine:
    """This machine, with `threads` per call."""
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        threads=threads,
        system=f"{platform.system()} {platform.machine()}",
        runtime=f"ONNX Runtime {onnxruntime.__version__}, CPU",
        tokenizers=version("tokenizers"),
    )


def _cpu_model() -> str:
    file = Path("/proc/cpuinfo")
    if file.is_file():
        for line in file.read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
