"""Where a model runs, and in which precision it runs fastest there."""

from typing import TYPE_CHECKING, Literal

from decant.runtime.errors import UserError

if TYPE_CHECKING:  # the parameters name these types where torch is not needed
    import torch

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]


def pick_device(wanted: Device) -> "torch.device":
    """The requested device. Raises UserError when that is a GPU and torch finds none."""
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError(
            f"a GPU is requested, but torch {torch.__version__} finds none",
            code="gpu-missing",
            hint="check the driver and the CUDA build of torch, or set device to auto",
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def use_bfloat16(wanted: Precision, device: "torch.device") -> bool:
    """Whether to run under bfloat16 autocast; `auto` checks the hardware for native support.

    Measured on a processor with AVX512-BF16: matrix products of BERT's size run about five times
    as fast as in float32. Without the instruction they are emulated and slower.
    """
    if wanted != "auto":
        return wanted == "bfloat16"
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
