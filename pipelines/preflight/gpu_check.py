"""The GPU of this machine, in PyTorch and ONNX Runtime."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from pipelines.preflight.check_result import Result, Status
from pipelines.preflight.own_process import own_process

NAME = "GPU"
LIBRARIES = ("onnxruntime", "torch")  # of compute, in a process of its own
# nvidia-smi is not in every image; these are there wherever CUDA finds a GPU, on Linux and in WSL.
_DEVICES = ("/dev/nvidiactl", "/dev/dxg")


@dataclass(frozen=True, kw_only=True)
class GpuFacts:
    """What was found.

    Attributes:
        has_driver: nvidia-smi is there.
        torch_cuda: CUDA version of PyTorch's build, such as 13.0; empty for a build without.
        torch_device: name of the GPU on which PyTorch has computed; empty when it finds none.
        onnx_cuda: CUDA version of ONNX Runtime's build; empty for a build without.
        onnx_runs: a graph has run with ONNX Runtime's CUDA provider.
    """

    has_driver: bool
    torch_cuda: str
    torch_device: str
    onnx_cuda: str
    onnx_runs: bool


def check_gpu() -> Result:
    """Without a driver neither library is loaded to find no GPU."""
    if shutil.which("nvidia-smi") is None and not any(Path(file).exists() for file in _DEVICES):
        return _result("skipped", "no NVIDIA GPU on this machine")
    with own_process(__name__, "compute") as called:
        return called()


def compute() -> Result:
    """Raises what PyTorch raises when it finds a GPU and cannot compute on it."""
    return evaluate(look())


def look() -> GpuFacts:
    """Raises as `compute` does."""
    import onnxruntime
    import torch

    has_driver = shutil.which("nvidia-smi") is not None
    torch_device = ""
    if torch.cuda.is_available():
        assert float(torch.ones(2, device="cuda").sum()) == 2.0
        torch_device = torch.cuda.get_device_name()
    return GpuFacts(
        has_driver=has_driver,
        torch_cuda=torch.version.cuda or "",
        torch_device=torch_device,
        onnx_cuda=getattr(onnxruntime, "cuda_version", "") or "",
        onnx_runs=bool(torch_device) and _onnx_runs(),
    )


def evaluate(facts: GpuFacts) -> Result:
    if not facts.has_driver and not facts.torch_device:
        return _result("skipped", "no NVIDIA GPU on this machine")
    if not facts.torch_cuda:
        return _result(
            "failed",
            "there is a GPU, but this PyTorch is built without CUDA",
            "install the CUDA build of torch; the lock file leaves the build open",
        )
    if not facts.torch_device:
        return _result(
            "failed",
            f"PyTorch (CUDA {facts.torch_cuda}) finds no GPU",
            "compare with driver and CUDA in nvidia-smi, and with CUDA_VISIBLE_DEVICES",
        )
    majors = [version.partition(".")[0] for version in (facts.torch_cuda, facts.onnx_cuda)]
    if facts.onnx_cuda and majors[0] != majors[1]:
        return _result(
            "failed",
            f"PyTorch is built for CUDA {facts.torch_cuda}, ONNX Runtime for {facts.onnx_cuda}",
            "install builds of the same CUDA major version",
        )
    if not facts.onnx_runs:
        return _result(
            "failed",
            f"{facts.torch_device}: PyTorch uses it, ONNX Runtime does not",
            "install onnxruntime-gpu, and cuDNN on the library path",
        )
    return _result(
        "ok", f"{facts.torch_device}: PyTorch and ONNX Runtime use it (CUDA {facts.torch_cuda})"
    )


def _onnx_runs() -> bool:
    """Whether a sum of two numbers runs with the CUDA provider and is right."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return False
    numbers = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])], "doctor", numbers[:1], numbers[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CUDAExecutionProvider"]
    )
    (doubled,) = session.run(None, {"x": np.array([1.0, 2.0], dtype=np.float32)})
    return "CUDAExecutionProvider" in session.get_providers() and list(doubled) == [2.0, 4.0]


def _result(status: Status, detail: str, hint: str = "") -> Result:
    return Result(name=NAME, status=status, detail=detail, hint=hint)
