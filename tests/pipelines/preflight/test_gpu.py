"""What is concluded from what PyTorch and ONNX Runtime see."""

import dataclasses
import shutil

import pytest
import torch

from pipelines.preflight.gpu_check import GpuFacts, check_gpu, evaluate

GOOD = GpuFacts(
    has_driver=True, torch_cuda="13.0", torch_device="GPU 1", onnx_cuda="13.0", onnx_runs=True
)


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        ({}, "ok", "GPU 1: PyTorch and ONNX Runtime use it (CUDA 13.0)"),
        ({"onnx_cuda": "13.2"}, "ok", "GPU 1"),
        ({"has_driver": False}, "ok", "GPU 1"),  # nvidia-smi is not in every image
        ({"has_driver": False, "torch_device": ""}, "skipped", "no NVIDIA GPU"),
        ({"torch_cuda": "", "torch_device": ""}, "failed", "PyTorch is built without CUDA"),
        ({"torch_device": "", "onnx_runs": False}, "failed", "PyTorch (CUDA 13.0) finds no GPU"),
        ({"onnx_cuda": "12.8", "onnx_runs": False}, "failed", "CUDA 13.0, ONNX Runtime for 12.8"),
        ({"onnx_cuda": "", "onnx_runs": False}, "failed", "ONNX Runtime does not"),
    ],
)
def test_conclusions(change: dict[str, object], status: str, detail: str) -> None:
    result = evaluate(dataclasses.replace(GOOD, **change))  # type: ignore[arg-type]
    assert result.status == status
    assert detail in result.detail
    assert bool(result.hint) == (status == "failed")


def test_this_machine() -> None:
    has_gpu = bool(shutil.which("nvidia-smi")) or torch.cuda.is_available()
    assert (check_gpu().status == "skipped") == (not has_gpu)
