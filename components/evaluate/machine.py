"""What the times were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnxruntime


def machine_facts(threads: int) -> dict[str, Any]:
    """Processor, cores, threads per call, operating system, runtime and its version."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "runtime": f"ONNX Runtime {onnxruntime.__version__}, CPU",
        "tokenizers": version("tokenizers"),
    }


def _cpu_model() -> str:
    file = Path("/proc/cpuinfo")
    if file.is_file():
        for line in file.read_text("utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
