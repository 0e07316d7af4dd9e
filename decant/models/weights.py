"""Fills a network with the weights of an artifact."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from decant.runtime.artifact_files import damaged, reading


def fill(network: nn.Module, file: Path) -> None:
    """In place.

    Raises UserError when the file is damaged, its tensors are not those of the network, or a number
    is not finite.
    """
    expected = network.state_dict()
    with reading(file):
        tensors = load_file(file)
        network.load_state_dict(tensors, strict=True)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise damaged(file, f"has {name} as {tensor.dtype}, not {expected[name].dtype}")
        if not bool(torch.isfinite(tensor).all()):
            raise damaged(file, f"has numbers in {name} that are not finite")
